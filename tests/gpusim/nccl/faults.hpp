// Faults that a test asks for, in GPUSIM_NCCL_FAULTS: a list separated by semicolons of
//
//   hang rank=R operation=N            rank R never finishes its N-th operation (counted from 0)
//   fail rank=R operation=N            it gets an asynchronous error there, and does not finish
//   cut rank=R peer=P operation=N      rank R loses its connection to P there
//   delay rank=R milliseconds=M        each operation of rank R begins later
//
// Ranks and operations are those of any communicator; a split off one counts anew.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gpusim::nccl {

struct InjectedFault {
  enum class Kind : std::uint8_t { kHang, kFail, kCut, kDelay };
  Kind kind = Kind::kHang;
  int rank = 0;
  int peer = 0;
  std::uint64_t operation = 0;
  int milliseconds = 0;
};

/// Empty with `why` where the text cannot be read.
std::vector<InjectedFault> parse_faults(const std::string& text, std::string& why);

/// Those of the environment; a text that cannot be read ends the program with status 78, as
/// gpusim's other options do.
const std::vector<InjectedFault>& injected_faults();

}  // namespace gpusim::nccl
