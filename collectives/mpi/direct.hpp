// Collectives in which every rank talks to the ranks that it has something for: all_to_all,
// all_reduce of little data, the barrier.
#pragma once

#include <array>
#include <cstdint>

#include "collectives/mpi/exchange.hpp"
#include "collectives/mpi/transfer.hpp"

namespace ingot::mpi {

/// all_to_all: in round t each rank sends to the rank t after it and receives from the one t
/// before, so that no rank is everybody's target at once.
class AllToAll {
 public:
  explicit AllToAll(const Exchange& exchange);
  Advance advance();

 private:
  Exchange exchange_;
  std::int64_t pieces_ = 1;  ///< messages per block
  std::int64_t messages_ = 0;
  MessageQueue receives_;
  MessageQueue sends_;
};

/// all_reduce in one hop: everybody sends all it has to everybody and sums in the order of ranks.
/// For small buffers, where the number of hops counts and not the bytes.
class SmallAllReduce {
 public:
  static constexpr std::int64_t kMostBytes = 8 << 10;
  static constexpr int kMostRanks = MessageQueue::kCapacity;
  static bool suits(const Exchange& exchange);

  SmallAllReduce(const Exchange& exchange, Scratch& scratch);
  Advance advance();

 private:
  Exchange exchange_;
  std::byte* slots_ = nullptr;  ///< one copy of the data per rank
  MessageQueue receives_;
  MessageQueue sends_;
};

/// Dissemination barrier. Source: Hensgen, Finkel, Manber, "Two algorithms for barrier
/// synchronization", IJPP 1988.
class Barrier {
 public:
  explicit Barrier(const Exchange& exchange) : exchange_(exchange) {}
  Advance advance();

 private:
  Exchange exchange_;
  std::int64_t distance_ = 1;
  MessageQueue receives_;
  MessageQueue sends_;
};

/// Broadcast down a binary tree, in segments, so that all its levels work at once.
class Broadcast {
 public:
  explicit Broadcast(const Exchange& exchange);
  Advance advance();

 private:
  bool start_messages();

  Exchange exchange_;
  std::int64_t segments_ = 0;
  bool has_parent_ = false;
  Peer parent_;
  int children_ = 0;
  std::array<Peer, 2> child_;
  MessageQueue receives_;
  std::array<MessageQueue, 2> sends_;
};

}  // namespace ingot::mpi
