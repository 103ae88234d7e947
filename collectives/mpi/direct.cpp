#include "collectives/mpi/direct.hpp"

#include <algorithm>
#include <cstring>

#include "collectives/mpi/reduce.hpp"

namespace ingot::mpi {
namespace {

constexpr std::int64_t kPieceBytes = 4 << 20;
constexpr std::int64_t kBroadcastBytes = 256 << 10;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Bytes of piece `index` of a range cut into pieces of `piece` bytes.
std::int64_t piece_bytes(std::int64_t index, std::int64_t piece, std::int64_t range) {
  return std::min(piece, range - index * piece);
}

}  // namespace

AllToAll::AllToAll(const Exchange& exchange)
    : exchange_(exchange), pieces_(divide_up(exchange.bytes(), kPieceBytes)) {
  messages_ = pieces_ * (exchange.group->size() - 1);
  if (exchange.count == 0) return;
  const std::int64_t mine = exchange.group->rank * exchange.bytes();
  std::memcpy(offset(exchange.to, mine), offset(exchange.from, mine),
              static_cast<std::size_t>(exchange.bytes()));
}

Advance AllToAll::advance() {
  const std::int64_t ranks = exchange_.group->size();
  const std::int64_t rank = exchange_.group->rank;
  const auto begin = [&](std::int64_t message, std::int64_t other) {
    return other * exchange_.bytes() + message % pieces_ * kPieceBytes;
  };
  bool moved = false;
  for (; receives_.started() < messages_ && !receives_.full(); moved = true) {
    const std::int64_t message = receives_.started();
    const std::int64_t other = (rank - message / pieces_ - 1 + ranks) % ranks;
    receives_.receive(offset(exchange_.to, begin(message, other)),
                      piece_bytes(message % pieces_, kPieceBytes, exchange_.bytes()),
                      exchange_.peer(other));
  }
  for (; sends_.started() < messages_ && !sends_.full(); moved = true) {
    const std::int64_t message = sends_.started();
    const std::int64_t other = (rank + message / pieces_ + 1) % ranks;
    sends_.send(offset(exchange_.from, begin(message, other)),
                piece_bytes(message % pieces_, kPieceBytes, exchange_.bytes()),
                exchange_.peer(other));
  }
  moved |= receives_.complete_oldest();
  moved |= sends_.complete_oldest();
  if (receives_.completed() == messages_ && sends_.completed() == messages_) return Advance::kDone;
  return moved ? Advance::kMoved : Advance::kIdle;
}

bool SmallAllReduce::suits(const Exchange& exchange) {
  return exchange.bytes() <= kMostBytes && exchange.group->size() <= kMostRanks;
}

SmallAllReduce::SmallAllReduce(const Exchange& exchange, Scratch& scratch) : exchange_(exchange) {
  const std::int64_t ranks = exchange.group->size();
  const auto needed = static_cast<std::size_t>(ranks * exchange.bytes());
  if (scratch.size() < needed) scratch.resize(needed);
  slots_ = scratch.data();
  if (exchange.count == 0) return;
  std::memcpy(slots_ + exchange.group->rank * exchange.bytes(), exchange.to,
              static_cast<std::size_t>(exchange.bytes()));
}

Advance SmallAllReduce::advance() {
  const std::int64_t bytes = exchange_.bytes();
  const std::int64_t ranks = exchange_.group->size();
  const std::int64_t rank = exchange_.group->rank;
  bool moved = false;
  if (receives_.started() == 0 && ranks > 1) {
    for (std::int64_t distance = 1; distance < ranks; ++distance) {
      const std::int64_t other = (rank + distance) % ranks;
      receives_.receive(slots_ + other * bytes, bytes, exchange_.peer(other));
    }
    for (std::int64_t distance = 1; distance < ranks; ++distance) {
      sends_.send(slots_ + rank * bytes, bytes, exchange_.peer(rank + distance));
    }
    moved = true;
  }
  while (receives_.complete_oldest()) moved = true;
  while (sends_.complete_oldest()) moved = true;
  if (!receives_.empty() || !sends_.empty()) return moved ? Advance::kMoved : Advance::kIdle;
  if (exchange_.count == 0) return Advance::kDone;
  for (std::int64_t other = 1; other < ranks; ++other) {
    reduce_into(slots_, slots_ + other * bytes, exchange_.count, exchange_.type,
                exchange_.operation);
  }
  std::memcpy(exchange_.to, slots_, static_cast<std::size_t>(bytes));
  return Advance::kDone;
}

Advance Barrier::advance() {
  bool moved = false;
  while (true) {
    moved |= receives_.complete_oldest();
    moved |= sends_.complete_oldest();
    if (!receives_.empty() || !sends_.empty()) return moved ? Advance::kMoved : Advance::kIdle;
    if (distance_ >= exchange_.group->size()) return Advance::kDone;
    receives_.receive(nullptr, 0, exchange_.peer(exchange_.group->rank - distance_));
    sends_.send(nullptr, 0, exchange_.peer(exchange_.group->rank + distance_));
    distance_ *= 2;
    moved = true;
  }
}

Broadcast::Broadcast(const Exchange& exchange)
    : exchange_(exchange), segments_(divide_up(exchange.bytes(), kBroadcastBytes)) {
  const std::int64_t ranks = exchange.group->size();
  const std::int64_t node = (exchange.group->rank - exchange.root + ranks) % ranks;
  has_parent_ = node != 0;
  parent_ = exchange.peer(exchange.root + (node - 1) / 2);
  for (std::int64_t child = 2 * node + 1; child <= 2 * node + 2 && child < ranks; ++child) {
    child_[static_cast<std::size_t>(children_++)] = exchange.peer(exchange.root + child);
  }
}

bool Broadcast::start_messages() {
  bool moved = false;
  const auto bytes = [&](std::int64_t segment) {
    return piece_bytes(segment, kBroadcastBytes, exchange_.bytes());
  };
  for (; has_parent_ && receives_.started() < segments_ && !receives_.full(); moved = true) {
    const std::int64_t segment = receives_.started();
    receives_.receive(offset(exchange_.to, segment * kBroadcastBytes), bytes(segment), parent_);
  }
  const std::int64_t here = has_parent_ ? receives_.completed() : segments_;
  for (std::size_t i = 0; i < static_cast<std::size_t>(children_); ++i) {
    for (; sends_[i].started() < here && !sends_[i].full(); moved = true) {
      const std::int64_t segment = sends_[i].started();
      sends_[i].send(offset(exchange_.to, segment * kBroadcastBytes), bytes(segment), child_[i]);
    }
  }
  return moved;
}

Advance Broadcast::advance() {
  bool moved = start_messages();
  moved |= receives_.complete_oldest();
  bool sent = true;
  for (std::size_t i = 0; i < static_cast<std::size_t>(children_); ++i) {
    moved |= sends_[i].complete_oldest();
    sent = sent && sends_[i].completed() == segments_;
  }
  if (sent && (!has_parent_ || receives_.completed() == segments_)) return Advance::kDone;
  return moved ? Advance::kMoved : Advance::kIdle;
}

}  // namespace ingot::mpi
