// Small blocking exchanges of all ranks outside of steps: agreeing on a setting, collecting what
// each rank found. They go through the progress thread like everything else.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "collectives/mpi/collective.hpp"
#include "collectives/mpi/group.hpp"
#include "collectives/mpi/progress_thread.hpp"

namespace ingot::mpi {

/// Every call is made by all ranks in the same order, blocks, and throws Error(kTimeout or
/// kInternal) where MPI fails. Calls of several threads are served one after the other.
class ControlChannel {
 public:
  ControlChannel(ProgressThread& progress, Group group);

  /// Every rank's text, by rank. Lengths may differ and are carried; any bytes are allowed.
  std::vector<std::string> all_gather_bytes(const std::string& mine);
  /// The root's text, on every rank.
  std::string broadcast_bytes(const std::string& mine, int root);
  std::int64_t max(std::int64_t mine);
  std::int64_t min(std::int64_t mine);
  double sum(double mine);
  /// Returns when every rank has called.
  void barrier();
  /// What its exchanges are doing, as of a communicator.
  const FlightRecord& flight_record() const { return flight_; }

 private:
  void run(CollectiveCall call, const char* what);
  std::int64_t reduce(std::int64_t mine, ReduceOperation operation);

  ProgressThread& progress_;
  Group group_;
  std::mutex mutex_;
  std::uint64_t sequence_ = 0;
  FlightRecord flight_;
  Collective collective_;
};

}  // namespace ingot::mpi
