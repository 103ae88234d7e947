// A program on its way: everything it does, in the order in which the host will issue it and on
// which stream, before memory is planned and before the streams are synchronised.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/program/program.hpp"

namespace ingot {

struct Draft {
  std::vector<Instruction> instructions;  ///< no events; offsets in the arena are in their block
  /// Per instruction: one of the other stream that memory is planned to be done with before it
  /// begins though no data says so, or kNoGate. What bounds how far one stream runs ahead of the
  /// other; a wait comes of it where memory is then reused.
  std::vector<int> gates;
  std::vector<std::int64_t> block_bytes;  ///< of every block of the arena

  int add_block(std::int64_t bytes) {
    block_bytes.push_back(bytes);
    return static_cast<int>(block_bytes.size()) - 1;
  }
  static constexpr int kNoGate = -1;
};

/// Memory that an instruction reads or writes: bytes [begin, end) of a block of the arena or of a
/// named buffer.
struct Access {
  int block = -1;
  const std::string* buffer = nullptr;  ///< null for a block
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool writes = false;
};

/// Appends what the instruction touches to `accesses`; its workspace is its own and left out.
void collect_accesses(const Instruction& instruction, std::vector<Access>& accesses);

/// Whether the two must run one after the other.
bool conflict(const Access& a, const Access& b);

}  // namespace ingot
