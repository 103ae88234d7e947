#include "collectives/shm/collective.hpp"

#include <algorithm>
#include <cstring>

#include "collectives/shm/pointers.hpp"
#include "collectives/shm/reduce.hpp"

namespace ingot::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void copy_bytes(std::byte* to, const std::byte* from, std::int64_t bytes) {
  if (to != from && bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
}

/// Gets a line of this rank's that peers have read back for writing, without waiting for it.
void prefetch_to_write(const void* line) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(line)));
#else
  __builtin_prefetch(line, 1);
#endif
}

}  // namespace

void Collective::set_numbered(Group& group, const CollectiveCall& call, std::uint64_t number) {
  group_ = &group;
  call_ = call;
  recorded_ = false;
  number_ = number;
  slot_number_ = static_cast<std::uint32_t>(number % kLanes);
  slot_ = group.control().slot(slot_number_);
  turn_ = static_cast<std::uint32_t>(number / kLanes);
  begun_ = false;
}

void Collective::set_recorded(Group& group, const CollectiveCall& call, std::uint32_t slot) {
  group_ = &group;
  call_ = call;
  recorded_ = true;
  slot_number_ = slot;
  slot_ = group.control().slot(slot);
  turn_ = 0;
  begun_ = false;
}

/// Short is what is moved through the areas sooner than a second step takes: what one rank reads of
/// its peers, in bytes.
bool Collective::one_hop() const {
  constexpr std::int64_t kShort = 8 << 10;
  constexpr std::int64_t kShortReduction = 4 << 10;  // in place every rank reads but its part
  const std::int64_t read = call_.bytes() * std::max(1, ranks() - 1);
  switch (call_.kind) {
    case CollectiveKind::kBarrier:
      return true;
    case CollectiveKind::kBroadcast:
      return call_.bytes() <= kShort;
    case CollectiveKind::kAllReduce:
      return read <= kShortReduction;
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllGather:
    case CollectiveKind::kAllToAll:
      return read <= kShort;
  }
  return false;
}

bool Collective::attempt(std::chrono::nanoseconds spin) {
  if (!one_hop()) return false;
  group_->throw_if_given_up();
  if (recorded_ || (number_ >= kLanes && !group_->all_settled(number_ - kLanes))) return false;
  begin();
  const bool only_root = call_.kind == CollectiveKind::kBroadcast;
  if (only_root && rank() == call_.root) {
    finish();
    return true;
  }
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer == rank() || (only_root && peer != call_.root)) continue;
    if (!desk(peer).step.spin_until(base_ + 1, spin)) return false;
  }
  take_one_hop();
  return true;
}

void Collective::run() {
  group_->throw_if_given_up();
  if (!begun_) {
    await_slot();
    begin();
  }
  if (one_hop()) {
    if (call_.kind != CollectiveKind::kBroadcast) {
      await_all_steps();
    } else if (rank() != call_.root) {
      await_step(call_.root);
    }
    take_one_hop();
  } else {
    run_long();
  }
}

/// The slot is free when every rank is done with the call that had it before.
void Collective::await_slot() {
  if (!recorded_ && (number_ < kLanes || group_->all_settled(number_ - kLanes))) return;
  base_ = desk(rank()).step.value();
  for (int peer = 0; peer < ranks(); ++peer) {
    group_->wait(desk(peer).done, turn_, peer, waiting());
  }
}

void Collective::begin() {
  Desk& mine = desk(rank());
  base_ = mine.step.value();
  steps_ = 0;
  begun_ = true;
  call_.flight->start();
  RankStatus& status = group_->own_status();
  status.slot.store(slot_number_, kRelaxed);
  status.started.store(call_.sequence + 1, kRelaxed);
  write_call(mine, call_);
  mine.settled.store(group_->settled(), kRelaxed);
  Place place;
  if (one_hop()) {
    put(0, call_.count, 0);
  } else {
    // What peers read: the buffer that is not the result of this rank alone.
    const void* source = call_.in_place() ? call_.to : call_.from;
    place = group_->regions()->find(
        source, call_.in_place() ? call_.to_bytes(ranks()) : call_.from_bytes(ranks()));
  }
  mine.region.store(place.region, kRelaxed);
  mine.offset.store(place.offset, kRelaxed);
  step();
  if (one_hop() && !recorded_) prefetch_next_lane();
}

/// The next call is likely to be as short: its lines come while this one waits for the peers.
void Collective::prefetch_next_lane() const {
  constexpr std::int64_t kLine = 64;
  constexpr std::int64_t kLines = 32;
  const Slot next = group_->control().slot((slot_number_ + 1) % kLanes);
  prefetch_to_write(&next.desk(rank()));
  const std::int64_t lines = std::min(kLines, (call_.bytes() + kLine - 1) / kLine);
  for (std::int64_t i = 0; i < lines; ++i) prefetch_to_write(next.area(rank(), 0) + i * kLine);
}

void Collective::finish() {
  desk(rank()).done.advance_to(++turn_);
  if (!recorded_) group_->settle(number_);
  begun_ = false;
  group_->own_status().finished.store(call_.sequence + 1, kRelaxed);
  call_.flight->finish();
}

void Collective::take_one_hop() {
  check_arrivals();
  take(0, call_.count, 0);
  finish();
}

/// Compares the peers' calls with this one. In a short broadcast only the root's is waited for.
void Collective::check_arrivals() {
  const bool only_root = call_.kind == CollectiveKind::kBroadcast && one_hop();
  if (only_root && rank() == call_.root) return;
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer == rank() || (only_root && peer != call_.root)) continue;
    group_->check(peer, waiting());
    group_->note_settled(peer, desk(peer));
  }
}

void Collective::run_long() {
  await_all_steps();
  check_arrivals();
  bool shared = true;
  for (int peer = 0; peer < ranks(); ++peer) {
    const bool read = call_.kind != CollectiveKind::kBroadcast || peer == call_.root;
    if (read && desk(peer).region.load(kRelaxed) == 0) shared = false;
  }
  if (shared) {
    work_in_place();
  } else {
    work_in_pieces();
  }
  finish();
}

void Collective::work_in_place() {
  const bool reduces_all = call_.kind == CollectiveKind::kAllReduce;
  const std::int64_t source_bytes =
      call_.in_place() ? call_.to_bytes(ranks()) : call_.from_bytes(ranks());
  const auto source = [&](int peer) {
    if (peer == rank()) {
      return static_cast<std::byte*>(call_.in_place() ? call_.to : const_cast<void*>(call_.from));
    }
    const Desk& theirs = desk(peer);
    return group_->resolve(peer, {theirs.region.load(kRelaxed), theirs.offset.load(kRelaxed)},
                           source_bytes);
  };
  const std::int64_t block = bytes(call_.count);
  switch (call_.kind) {
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kReduceScatter: {
      const Part part =
          reduces_all ? part_of(rank(), call_.count) : Part{rank() * call_.count, call_.count};
      Pointers<std::byte> sources(ranks());
      for (int peer = 0; peer < ranks(); ++peer) {
        sources[peer] = source(peer) + bytes(part.first);
      }
      std::byte* own = to(0);
      reduce(reduces_all ? sources.all() : std::span<std::byte* const>(&own, 1),
             sources.all_const(), part.count, call_.type, call_.operation);
      break;
    }
    case CollectiveKind::kAllGather:
      for (int i = 0; i < ranks(); ++i) {
        const int peer = (rank() + i) % ranks();
        copy_bytes(to(peer * call_.count), source(peer), block);
      }
      break;
    case CollectiveKind::kAllToAll:
      for (int i = 0; i < ranks(); ++i) {
        const int peer = (rank() + i) % ranks();
        copy_bytes(to(peer * call_.count), source(peer) + rank() * block, block);
      }
      break;
    case CollectiveKind::kBroadcast:
      copy_bytes(to(0), source(call_.root), block);
      break;
    case CollectiveKind::kBarrier:
      break;
  }
  // Peers are done with this rank's memory when they show this step too.
  step();
  await_all_steps();
}

/// Two halves of an area take turns. That a peer shows the step of the next piece tells that it has
/// taken this one, so the half after next is free again without a word.
void Collective::work_in_pieces() {
  const std::int64_t elements = piece_elements();
  const bool in_parts = call_.kind == CollectiveKind::kAllReduce && ranks() > 3;
  std::int64_t half = 0;
  for (std::int64_t first = 0; first < call_.count; first += elements) {
    const std::int64_t count = std::min(elements, call_.count - first);
    put(first, count, half);
    step();
    if (call_.kind != CollectiveKind::kBroadcast || rank() == call_.root) {
      await_all_steps();
    } else {
      await_step(call_.root);
    }
    if (in_parts) {
      reduce_own_part(count, half);
      step();
      await_all_steps();
      take_parts(first, count, half);
    } else {
      take(first, count, half);
    }
    half = 1 - half;
  }
}

void Collective::step() {
  desk(rank()).step.advance_to(base_ + ++steps_);
}

void Collective::await_step(int peer) const {
  group_->wait(desk(peer).step, base_ + steps_, peer, waiting());
}

void Collective::await_all_steps() const {
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer != rank()) await_step(peer);
  }
}

std::int64_t Collective::piece_elements() const {
  const bool blocks =
      call_.kind == CollectiveKind::kReduceScatter || call_.kind == CollectiveKind::kAllToAll;
  const std::int64_t elements = kHalfBytes / size_of(call_.type) / (blocks ? ranks() : 1);
  return std::max<std::int64_t>(1, elements / 64 * 64);
}

void Collective::put(std::int64_t first, std::int64_t count, std::int64_t half) const {
  std::byte* area = slot_.area(rank(), half);
  switch (call_.kind) {
    case CollectiveKind::kAllReduce:
      return copy_bytes(area, to(first), bytes(count));
    case CollectiveKind::kAllGather:
      return copy_bytes(area, from(first), bytes(count));
    case CollectiveKind::kBroadcast:
      if (rank() == call_.root) copy_bytes(area, to(first), bytes(count));
      return;
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
      for (int peer = 0; peer < ranks(); ++peer) {
        if (peer == rank()) continue;
        copy_bytes(area + bytes(peer * count), from(peer * call_.count + first), bytes(count));
      }
      return;
    case CollectiveKind::kBarrier:
      return;
  }
}

void Collective::take(std::int64_t first, std::int64_t count, std::int64_t half) const {
  const auto theirs = [&](int peer) { return slot_.area(peer, half); };
  const std::int64_t piece = bytes(count);
  switch (call_.kind) {
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kReduceScatter: {
      const bool all = call_.kind == CollectiveKind::kAllReduce;
      Pointers<const std::byte> sources(ranks());
      for (int peer = 0; peer < ranks(); ++peer) {
        sources[peer] = theirs(peer) + (all ? 0 : rank() * piece);
      }
      sources[rank()] = all ? to(first) : from(rank() * call_.count + first);
      std::byte* own = to(first);
      return reduce({&own, 1}, sources.all(), count, call_.type, call_.operation);
    }
    case CollectiveKind::kAllGather:
      for (int peer = 0; peer < ranks(); ++peer) {
        copy_bytes(to(peer * call_.count + first), peer == rank() ? from(first) : theirs(peer),
                   piece);
      }
      return;
    case CollectiveKind::kAllToAll:
      for (int peer = 0; peer < ranks(); ++peer) {
        copy_bytes(
            to(peer * call_.count + first),
            peer == rank() ? from(peer * call_.count + first) : theirs(peer) + rank() * piece,
            piece);
      }
      return;
    case CollectiveKind::kBroadcast:
      if (rank() != call_.root) copy_bytes(to(first), theirs(call_.root), piece);
      return;
    case CollectiveKind::kBarrier:
      return;
  }
}

void Collective::reduce_own_part(std::int64_t count, std::int64_t half) const {
  const Part part = part_of(rank(), count);
  Pointers<const std::byte> sources(ranks());
  for (int peer = 0; peer < ranks(); ++peer) {
    sources[peer] = slot_.area(peer, half) + bytes(part.first);
  }
  std::byte* own = slot_.area(rank(), half) + bytes(part.first);
  reduce({&own, 1}, sources.all(), part.count, call_.type, call_.operation);
}

void Collective::take_parts(std::int64_t first, std::int64_t count, std::int64_t half) const {
  for (int peer = 0; peer < ranks(); ++peer) {
    const Part part = part_of(peer, count);
    copy_bytes(to(first + part.first), slot_.area(peer, half) + bytes(part.first),
               bytes(part.count));
  }
}

Collective::Part Collective::part_of(int rank, std::int64_t count) const {
  const std::int64_t share = (count + ranks() - 1) / ranks();
  const std::int64_t unit = share >= 16 * 1024 ? 4096 : 64;  // elements
  const std::int64_t each = (share + unit - 1) / unit * unit;
  const std::int64_t begin = std::min(count, rank * each);
  return {begin, std::min(count, begin + each) - begin};
}

std::byte* Collective::to(std::int64_t element) const {
  return static_cast<std::byte*>(call_.to) + bytes(element);
}
const std::byte* Collective::from(std::int64_t element) const {
  return static_cast<const std::byte*>(call_.from) + bytes(element);
}

}  // namespace ingot::shm
