#include "collectives/mpi/ring.hpp"

#include <algorithm>
#include <cstring>

#include "collectives/mpi/reduce.hpp"

namespace ingot::mpi {
namespace {

constexpr std::int64_t kSegmentBytes = 256 << 10;
constexpr std::int64_t kMostSegments = MessageQueue::kCapacity;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

Ring::Ring(const Exchange& exchange, Scratch& scratch)
    : exchange_(exchange),
      left_(exchange.peer(exchange.group->rank - 1)),
      right_(exchange.peer(exchange.group->rank + 1)),
      element_(size_of(exchange.type)) {
  const std::int64_t ranks = exchange.group->size();
  reduce_steps_ = exchange.kind == Kind::kAllGather ? 0 : ranks - 1;
  steps_ = exchange.kind == Kind::kAllReduce ? 2 * (ranks - 1) : ranks - 1;
  const std::int64_t longest_block =
      exchange.kind == Kind::kAllReduce ? divide_up(exchange.count, ranks) : exchange.count;
  segment_ = kSegmentBytes / element_;
  segments_ = std::clamp<std::int64_t>(divide_up(longest_block, segment_), 1, kMostSegments);
  messages_ = divide_up(longest_block, segments_ * segment_) * steps_ * segments_;

  if (reduce_steps_ > 0) {
    const std::int64_t slot_bytes = std::min(segment_, longest_block) * element_;
    const auto needed = static_cast<std::size_t>(2 * segments_ * slot_bytes);
    if (scratch.size() < needed) scratch.resize(needed);
    slots_ = scratch.data();
  }
  if (exchange.count == 0) return;
  if (exchange.kind == Kind::kAllGather) {
    std::byte* mine = offset(exchange.to, exchange.group->rank * exchange.bytes());
    if (mine != exchange.from) {
      std::memcpy(mine, exchange.from, static_cast<std::size_t>(exchange.bytes()));
    }
  } else if (exchange.kind == Kind::kReduceScatter && ranks == 1 && exchange.to != exchange.from) {
    std::memcpy(exchange.to, exchange.from, static_cast<std::size_t>(exchange.bytes()));
  }
}

/// First element of a block in `to` (all_reduce, all_gather) or `from` (reduce_scatter).
std::int64_t Ring::block_begin(std::int64_t block) const {
  if (exchange_.kind != Kind::kAllReduce) return block * exchange_.count;
  const std::int64_t ranks = exchange_.group->size();
  const std::int64_t rest = exchange_.count % ranks;
  return block * (exchange_.count / ranks) + std::min(block, rest);
}

std::int64_t Ring::block_count(std::int64_t block) const {
  return exchange_.kind == Kind::kAllReduce ? block_begin(block + 1) - block_begin(block)
                                            : exchange_.count;
}

/// In step t a rank sends block rank - t and receives the block behind it, one less. reduce_scatter
/// is shifted by one, so that the last block received is the rank's own.
Ring::Piece Ring::piece(std::int64_t message, std::int64_t blocks_behind) const {
  const std::int64_t ranks = exchange_.group->size();
  const std::int64_t column = message / (steps_ * segments_);
  Piece result;
  result.step = message / segments_ % steps_;
  const std::int64_t shift = exchange_.kind == Kind::kReduceScatter ? 1 : 0;
  const std::int64_t block = exchange_.group->rank - result.step - blocks_behind - shift;
  result.block = (block % ranks + ranks) % ranks;
  // The last pieces may be empty; they are sent all the same to keep the numbers simple.
  const std::int64_t length = block_count(result.block);
  result.begin = std::min(length, (column * segments_ + message % segments_) * segment_);
  result.count = std::min(segment_, length - result.begin);
  return result;
}

std::byte* Ring::slot(std::int64_t message) const {
  const std::int64_t longest_block = block_count(0);  // no block is longer than the first
  return slots_ + message % (2 * segments_) * std::min(segment_, longest_block) * element_;
}

/// Where a piece lies in the result.
std::byte* Ring::place(const Piece& piece) const {
  const std::int64_t begin =
      exchange_.kind == Kind::kReduceScatter ? piece.begin : block_begin(piece.block) + piece.begin;
  return offset(exchange_.to, begin * element_);
}

/// This rank's own contribution to a piece.
const std::byte* Ring::own(const Piece& piece) const {
  const void* data = exchange_.kind == Kind::kReduceScatter ? exchange_.from : exchange_.to;
  return offset(data, (block_begin(piece.block) + piece.begin) * element_);
}

bool Ring::start_receive() {
  const std::int64_t message = receives_.started();
  if (message == messages_ || receives_.full()) return false;
  const Piece incoming = received_piece(message);
  if (reduces(incoming.step)) {
    // The slot is free again when what it held has been passed on, one step after it came.
    if (message >= 2 * segments_ && sends_.completed() <= message - segments_) return false;
    receives_.receive(slot(message), incoming.count * element_, left_);
    return true;
  }
  // A block comes back to the place it was sent from in the first half.
  if (reduce_steps_ > 0 && sends_.completed() <= message - reduce_steps_ * segments_) return false;
  receives_.receive(place(incoming), incoming.count * element_, left_);
  return true;
}

bool Ring::start_send() {
  const std::int64_t message = sends_.started();
  if (message == messages_ || sends_.full()) return false;
  const Piece outgoing = sent_piece(message);
  const std::byte* data = own(outgoing);
  if (outgoing.step > 0) {
    // What came in the step before goes on.
    if (receives_.completed() <= message - segments_) return false;
    if (exchange_.kind == Kind::kReduceScatter) data = slot(message - segments_);
  }
  sends_.send(data, outgoing.count * element_, right_);
  return true;
}

bool Ring::finish_receive() {
  const std::int64_t message = receives_.completed();
  if (!receives_.complete_oldest()) return false;
  const Piece incoming = received_piece(message);
  if (!reduces(incoming.step)) return true;
  if (exchange_.kind == Kind::kAllReduce) {
    reduce_into(place(incoming), slot(message), incoming.count, exchange_.type,
                exchange_.operation);
    return true;
  }
  reduce_into(slot(message), own(incoming), incoming.count, exchange_.type, exchange_.operation);
  if (incoming.step + 1 == steps_) {
    std::memcpy(place(incoming), slot(message),
                static_cast<std::size_t>(incoming.count * element_));
  }
  return true;
}

Advance Ring::advance() {
  bool moved = false;
  while (start_receive()) moved = true;
  while (start_send()) moved = true;
  moved |= finish_receive();
  moved |= sends_.complete_oldest();
  if (receives_.completed() == messages_ && sends_.completed() == messages_) return Advance::kDone;
  return moved ? Advance::kMoved : Advance::kIdle;
}

}  // namespace ingot::mpi
