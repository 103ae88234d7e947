// One collective among the ranks of a node, from its call to its end. Short ones are one hop: every
// rank puts its data into its area of the call's slot and reads the others'. Long ones on shared
// memory read and write the peers' buffers in place; long ones on other memory go through the areas
// piece by piece.
#pragma once

#include <chrono>
#include <cstdint>

#include "collectives/communicator.hpp"
#include "collectives/shm/group.hpp"

namespace ingot::shm {

class Collective {
 public:
  /// A numbered call, or one that is recorded and may be run often, with a slot of its own.
  void set_numbered(Group& group, const CollectiveCall& call, std::uint64_t number);
  void set_recorded(Group& group, const CollectiveCall& call, std::uint32_t slot);
  bool recorded() const { return recorded_; }
  FlightEntry& flight() const { return *call_.flight; }

  /// Does a call of little work as far as that is possible without waiting for a peer longer than
  /// `spin`; true if it is complete. Otherwise run() goes on from there.
  bool attempt(std::chrono::nanoseconds spin);
  /// Does the call; waits for peers as long as it takes. Throws Error.
  void run();

 private:
  bool one_hop() const;
  bool quick() const;
  bool all_shared() const;
  bool slot_free() const;
  void await_slot();
  void await_window();
  void begin();
  void finish();
  void run_short();
  void run_long();
  void check_arrivals();
  void work_in_place();
  void work_in_pieces();

  // Short calls.
  std::uint64_t tag() const { return recorded_ ? turn_ + std::uint64_t{1} : number_ + 1; }
  /// Whether a short call reads what this peer sends.
  bool reads(int peer) const {
    return peer != rank() && (call_.kind != CollectiveKind::kBroadcast || peer == call_.root);
  }
  void send_packets() const;
  bool packet_comes(int peer, std::chrono::nanoseconds spin) const;
  /// Waits for a peer in its sleep, after which all its packets are there.
  void await_arrival(int peer) const;
  bool take_packets();
  bool read_packets(int peer, std::byte* to) const;

  // Steps of the slot: what this rank shows, and what it waits for.
  void step();
  void await_step(int peer) const;
  void await_all_steps() const;
  bool all_steps_come(std::chrono::nanoseconds spin) const;

  // Pieces: elements [first, first + count) of each block, through one half of the areas.
  std::int64_t piece_elements() const;
  void put(std::int64_t first, std::int64_t count, std::int64_t half) const;
  void take(std::int64_t first, std::int64_t count, std::int64_t half) const;
  void reduce_own_part(std::int64_t count, std::int64_t half) const;
  void take_parts(std::int64_t first, std::int64_t count, std::int64_t half) const;

  struct Part {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };
  /// What a rank reduces of `count` elements, whole cache lines or pages where there are enough.
  Part part_of(int rank, std::int64_t count) const;
  std::byte* to(std::int64_t element) const;
  const std::byte* from(std::int64_t element) const;
  std::int64_t bytes(std::int64_t elements) const { return elements * size_of(call_.type); }
  int ranks() const { return group_->size(); }
  int rank() const { return group_->rank(); }
  Desk& desk(int rank) const { return slot_.desk(rank); }
  Group::Waiting waiting() const { return {call_, slot_, base_ + 1}; }

  Group* group_ = nullptr;
  CollectiveCall call_;
  Slot slot_;
  std::uint32_t slot_number_ = 0;
  bool recorded_ = false;
  std::uint64_t number_ = 0;  ///< of a numbered call
  std::uint32_t turn_ = 0;    ///< calls that the slot has seen before
  bool begun_ = false;
  bool worked_ = false;      ///< in place: only peers are not done yet
  std::uint32_t base_ = 0;   ///< the slot's step before this call
  std::uint32_t steps_ = 0;  ///< of this call
};

}  // namespace ingot::shm
