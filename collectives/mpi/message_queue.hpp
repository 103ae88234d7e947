// A few messages of one direction in flight, completed in the order in which they were started.
#pragma once

#include <mpi.h>

#include <array>
#include <cstdint>

namespace ingot::mpi {

/// One other rank of MPI_COMM_WORLD and the tag that tells this collective from others. Messages
/// of one pair of ranks and one tag arrive in the order in which they are sent.
struct Peer {
  int world_rank = 0;
  int tag = 0;
};

/// Starts and completes messages; knows MPI and nothing else. Failures throw Error(kInternal).
class MessageQueue {
 public:
  static constexpr std::int64_t kCapacity = 8;
  /// Longest message: MPI counts in int.
  static constexpr std::int64_t kLongest = std::int64_t{1} << 30;

  std::int64_t started() const { return started_; }
  std::int64_t completed() const { return completed_; }
  bool empty() const { return started_ == completed_; }
  bool full() const { return started_ - completed_ == kCapacity; }

  void send(const void* data, std::int64_t bytes, Peer to);
  void receive(void* data, std::int64_t bytes, Peer from);
  /// Whether the oldest message in flight is now complete; false where there is none.
  bool complete_oldest();

 private:
  MPI_Request& request(std::int64_t index) {
    return requests_[static_cast<std::size_t>(index % kCapacity)];
  }

  std::array<MPI_Request, kCapacity> requests_;
  std::int64_t started_ = 0;
  std::int64_t completed_ = 0;
};

}  // namespace ingot::mpi
