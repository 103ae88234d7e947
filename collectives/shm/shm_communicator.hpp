// The communicator of the ranks of one node: they map each other's memory and read and write it
// directly. Ranks may be processes or, as in tests, threads of one. See README.md here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectives/communicator.hpp"

namespace ingot {

struct ShmOptions {
  int rank = 0;  ///< among the ranks of the node
  int size = 1;
  /// Every rank's text by rank, blocking; called once, by all of these ranks.
  std::function<std::vector<std::string>(const std::string& mine)> all_gather;
  /// What messages call the ranks; "rank 0", "rank 1", ... where there are none.
  std::vector<std::string> names = {};
  /// A wait for a peer fails with kTimeout after this long; 0 waits for ever.
  double timeout_seconds = 0;
  /// Threads of each rank that want a core: waits spin where all ranks' have one.
  int threads = 1;
  /// Ends the job; called by abort() after the peers have been told.
  std::function<void(int exit_code)> abort = {};
};

/// How far a rank has come, as the shared memory shows it.
struct RankProgress {
  std::uint64_t started = 0;   ///< sequence of the last call that it began, plus 1
  std::uint64_t finished = 0;  ///< sequence of the last call that it ended, plus 1
  std::string text;            ///< "rank 1, which is in collective 4, barrier, save"
};

class ShmCommunicator : public Communicator {
 public:
  /// Of every rank, at any time and from any thread.
  virtual std::vector<RankProgress> progress() const = 0;
};

/// Collective and blocking. Throws Error(kEnvironment) where the ranks cannot reach each other's
/// memory. It must be destroyed after the streams that its calls were enqueued on have been
/// synchronized, and after recordings of its calls.
std::unique_ptr<ShmCommunicator> create_shm_communicator(const ShmOptions& options);

}  // namespace ingot
