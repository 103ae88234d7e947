// What the flight reports of all ranks say of a collective that hangs, of one that failed, or of a
// rank that was lost: a pure function, so that every case can be tested without a job.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collectives/flight_report.hpp"
#include "ops/base/error.hpp"

namespace ingot {

/// One rank as another sees it.
struct PeerState {
  std::string host;
  std::int64_t pid = 0;
  bool ended = false;                  ///< its process is seen to have ended
  std::optional<FlightReport> report;  ///< nothing where it does not answer
};

struct Trouble {
  enum class Kind : std::uint8_t {
    kHung,    ///< a collective does not move
    kFailed,  ///< the transport threw in a collective
    kLost     ///< a rank has ended, or does not answer while the job is being ended
  };
  Kind kind = Kind::kHung;
  std::string group = {};              ///< name of the communicator; empty: none is known (kLost)
  FlightCall call = {};                ///< the collective in question, as this rank sees it
  double seconds = 0;                  ///< kHung: since it last moved
  std::string error = {};              ///< kFailed: what the transport said
  ExitCode code = ExitCode::kTimeout;  ///< kFailed: what it would end with
};

struct Verdict {
  ExitCode code = ExitCode::kTimeout;
  std::string message;  ///< several lines
};

/// `ranks` by rank of the job; `self` is the one that judges, its report among them.
Verdict judge(const Trouble& trouble, const std::vector<PeerState>& ranks, int self);

struct RankCall {
  int rank = 0;
  std::string host;
  FlightCall call;
};

/// "rank 2 (node7) calls all_reduce of 4096 f32 (sum), bucket 4; ranks 0, 1 call ...": who calls
/// what, where not all call the same. Empty where they do.
std::string differing_calls(const std::vector<RankCall>& calls);

/// "rank 3", "ranks 0-2, 5".
std::string name_ranks(const std::vector<int>& ranks);

}  // namespace ingot
