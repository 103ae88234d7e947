// The memory in which the ranks of a communicator tell each other what they do: slots, one per
// collective in flight, with a desk per rank (what call it makes and how far it has come), packets
// for short messages and an area for data. It is a memfd that all map; untouched parts take no
// pages.
//
// Numbered calls take the slots called lanes in turn; a recorded call has a slot of its own, since
// its replays may come at any time. Everything here is written by one rank each and read by peers,
// who check it before they believe it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "collectives/communicator.hpp"
#include "collectives/shm/mapping.hpp"
#include "collectives/shm/packets.hpp"
#include "collectives/shm/signal.hpp"

namespace ingot::shm {

constexpr std::uint32_t kLanes = 8;  ///< numbered calls that may be in flight at once
constexpr std::uint32_t kRecorded = 4096;
constexpr std::int64_t kHalfBytes = 128 << 10;  ///< of an area: data of one piece
constexpr std::int64_t kAreaBytes = 2 * kHalfBytes;

/// One rank's part of a slot.
struct Desk {
  /// Counts what the owner has put here for its peers to see, over all calls of the slot.
  alignas(64) Signal step;
  std::atomic<std::uint32_t> shape;   ///< kind, type, operation: one byte each
  std::atomic<std::int32_t> root;     ///< of a broadcast
  std::atomic<std::uint32_t> region;  ///< of the memory peers read; 0: not shared
  std::atomic<std::uint64_t> offset;  ///< into the region
  std::atomic<std::uint64_t> count;
  std::atomic<std::uint64_t> sequence;
  std::atomic<std::uint64_t> settled;  ///< the owner is done with all calls numbered below

  static constexpr std::size_t kLabelWords = 7;
  alignas(64) std::atomic<std::uint64_t> label[kLabelWords];  ///< text, cut short
  std::atomic<std::int32_t> label_index;

  /// Calls of this slot that the owner is done with, reading peers' areas included.
  alignas(64) Signal done;
};
static_assert(sizeof(Desk) == 192);

/// One collective's place.
class Slot {
 public:
  Slot() = default;
  Slot(std::byte* data, int ranks) : data_(data), ranks_(ranks) {}
  Desk& desk(int rank) const { return *reinterpret_cast<Desk*>(data_ + rank * kDeskBytes); }
  Packets packets(int rank) const {
    return Packets(data_ + ranks_ * kDeskBytes + rank * Packets::kBytes);
  }
  std::byte* area(int rank, std::int64_t half) const {
    return data_ + areas_at(ranks_) + rank * kAreaBytes + half * kHalfBytes;
  }
  static std::int64_t bytes(int ranks) { return areas_at(ranks) + ranks * kAreaBytes; }

 private:
  static constexpr std::int64_t kDeskBytes = 256;  // pairs of lines are fetched together
  static std::int64_t areas_at(int ranks) {
    return (ranks * (kDeskBytes + Packets::kBytes) + 4095) / 4096 * 4096;
  }
  std::byte* data_ = nullptr;
  int ranks_ = 0;
};

/// What a rank is doing, for messages about one that is missing.
struct alignas(64) RankStatus {
  std::atomic<std::uint64_t> started;   ///< sequence of the last call that began, plus 1
  std::atomic<std::uint64_t> finished;  ///< sequence of the last that ended, plus 1
  std::atomic<std::uint32_t> slot;      ///< of the last that began
};

class Control {
 public:
  static File create(int ranks);
  /// Maps the part that all calls use; `file` is what create() made for as many ranks.
  Control(File file, int ranks);

  RankStatus& status(int rank) const { return status_[rank]; }
  /// 0, or how the first rank that gave up did: its exit code * 2^32 + rank + 1.
  std::atomic<std::uint64_t>& failure() const { return *failure_; }

  /// Lanes are numbered from 0, recorded slots from kLanes, which are mapped when first asked for.
  Slot slot(std::uint32_t number);

 private:
  File file_;
  int ranks_;
  Mapping mapping_;
  RankStatus* status_ = nullptr;
  std::atomic<std::uint64_t>* failure_ = nullptr;
  std::byte* lanes_ = nullptr;
  std::mutex mutex_;
  std::deque<Mapping> recorded_;  ///< guarded by mutex_
};

/// Kind, type and operation in one number.
std::uint32_t shape_of(const CollectiveCall& call);
/// Puts a call on the owner's desk, except for the step that makes it visible.
void write_call(Desk& desk, const CollectiveCall& call);
/// Whether the peer at this desk makes the same call.
bool same_call(const Desk& desk, const CollectiveCall& call);
/// "collective 7, all_reduce of 4096 f32 (sum), bucket 3"; whatever stands there.
std::string describe_desk(const Desk& desk);

}  // namespace ingot::shm
