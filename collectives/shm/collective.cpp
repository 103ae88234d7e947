#include "collectives/shm/collective.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "collectives/shm/pointers.hpp"
#include "collectives/shm/reduce.hpp"

namespace ingot::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void copy_bytes(std::byte* to, const std::byte* from, std::int64_t bytes) {
  if (to != from && bytes > 0) std::memcpy(to, from, static_cast<std::size_t>(bytes));
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

/// Short is what packets carry, and what takes a rank less time to read from all of its peers than
/// a second step would.
bool Collective::one_hop() const {
  constexpr std::int64_t kMostRead = 8 << 10;
  const std::int64_t bytes = call_.bytes();
  switch (call_.kind) {
    case CollectiveKind::kBarrier:
      return true;
    case CollectiveKind::kBroadcast:
      return bytes <= Packets::kLargest;
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kAllGather:
      return bytes <= Packets::kLargest && bytes * ranks() <= kMostRead;
    case CollectiveKind::kReduceScatter:
    case CollectiveKind::kAllToAll:
      return bytes * ranks() <= Packets::kLargest;
  }
  return false;
}

/// What the caller of a call may do itself: a few microseconds' work.
bool Collective::quick() const {
  constexpr std::int64_t kMostBytes = 64 << 10;
  return one_hop() || call_.bytes() * (call_.in_place() ? 1 : ranks()) <= kMostBytes;
}

bool Collective::attempt(std::chrono::nanoseconds spin) {
  if (!quick()) return false;
  group_->throw_if_given_up();
  if (!slot_free()) return false;
  begin();
  if (one_hop()) {
    for (int peer = 0; peer < ranks(); ++peer) {
      if (reads(peer) && !packet_comes(peer, spin)) return false;
    }
    return take_packets();
  }
  if (!all_steps_come(spin)) return false;
  check_arrivals();
  if (!all_shared()) return false;
  work_in_place();
  if (!all_steps_come(spin)) return false;
  finish();
  return true;
}

void Collective::run() {
  group_->throw_if_given_up();
  if (!begun_) {
    await_slot();
    begin();
  }
  if (one_hop()) {
    run_short();
  } else {
    run_long();
  }
}

void Collective::run_short() {
  for (int peer = 0; peer < ranks(); ++peer) {
    if (reads(peer) && !packet_comes(peer, group_->timing().spin)) await_arrival(peer);
  }
  while (!take_packets()) {
    for (int peer = 0; peer < ranks(); ++peer) {
      if (reads(peer)) await_arrival(peer);
    }
  }
}

/// Goes on where attempt() gave up: before this rank's work, or behind it.
void Collective::run_long() {
  if (!worked_) {
    await_all_steps();
    check_arrivals();
    call_.flight->move();
    if (all_shared()) {
      work_in_place();
    } else {
      work_in_pieces();
    }
  }
  // Peers are done with this rank's memory when they show this step too.
  if (worked_) await_all_steps();
  finish();
}

/// When every rank is done with the call that had it before, and this rank not too far ahead of
/// itself on another stream.
bool Collective::slot_free() const {
  if (!recorded_) {
    if (number_ < kLanes || group_->all_settled(number_ - kLanes)) return true;
    if (number_ - group_->settled() >= Group::kWindow) return false;
  }
  for (int peer = 0; peer < ranks(); ++peer) {
    if (!desk(peer).done.reached(turn_)) return false;
  }
  return true;
}

void Collective::await_slot() {
  if (slot_free()) return;
  base_ = desk(rank()).step.value();
  for (int peer = 0; peer < ranks(); ++peer) {
    group_->wait(desk(peer).done, turn_, peer, waiting());
  }
  if (!recorded_ && number_ >= Group::kWindow) await_window();
}

/// Waits until this rank's own calls below the window are done, whatever stream they are on. The
/// lowest open call of all ranks never waits here, so this cannot hold up everybody.
void Collective::await_window() {
  const std::uint64_t last = number_ - Group::kWindow;
  for (std::uint64_t number = last - std::min<std::uint64_t>(last, kLanes - 1); number <= last;
       ++number) {
    const auto lane = static_cast<std::uint32_t>(number % kLanes);
    const auto turn = static_cast<std::uint32_t>(number / kLanes);
    const Desk& mine = group_->control().slot(lane).desk(rank());
    group_->wait(mine.done, turn + 1, rank(), waiting());
  }
  // Who is done says so to its peers first and to its own rank right afterwards.
  while (number_ - group_->settled() >= Group::kWindow) std::this_thread::yield();
}

void Collective::begin() {
  Desk& mine = desk(rank());
  base_ = mine.step.value();
  steps_ = 0;
  begun_ = true;
  worked_ = false;
  call_.flight->start();
  RankStatus& status = group_->own_status();
  status.slot.store(slot_number_, kRelaxed);
  status.started.store(call_.sequence + 1, kRelaxed);
  // Packets go first: a peer that waits awake for them does not look at the desk.
  if (one_hop()) send_packets();
  write_call(mine, call_);
  mine.settled.store(group_->settled(), kRelaxed);
  Place place;
  if (!one_hop()) {
    // What peers read: the buffer that is not the result of this rank alone.
    const void* source = call_.in_place() ? call_.to : call_.from;
    place = group_->regions()->find(
        source, call_.in_place() ? call_.to_bytes(ranks()) : call_.from_bytes(ranks()));
  }
  mine.region.store(place.region, kRelaxed);
  mine.offset.store(place.offset, kRelaxed);
  step();
}

void Collective::finish() {
  desk(rank()).done.advance_to(++turn_);
  if (!recorded_) group_->settle(number_);
  begun_ = false;
  group_->own_status().finished.store(call_.sequence + 1, kRelaxed);
  call_.flight->finish();
}

void Collective::send_packets() const {
  if (call_.kind == CollectiveKind::kBroadcast && rank() != call_.root) return;
  const void* data = call_.in_place() ? call_.to : call_.from;
  const std::int64_t size = call_.in_place() ? bytes(call_.count) : call_.from_bytes(ranks());
  const PacketHead head{.shape = shape_of(call_),
                        .root = call_.root,
                        .count = static_cast<std::uint64_t>(call_.count),
                        .settled = group_->settled()};
  slot_.packets(rank()).write(tag(), head, static_cast<const std::byte*>(data), size);
}

bool Collective::packet_comes(int peer, std::chrono::nanoseconds spin) const {
  return spin_until([packets = slot_.packets(peer), tag = tag()] { return packets.begun(tag); },
                    spin);
}

void Collective::await_arrival(int peer) const {
  await_step(peer);
  group_->check(peer, waiting());
}

/// What peers have sent, once the first packet of each is here; false where another is late.
bool Collective::take_packets() {
  const std::int64_t block = bytes(call_.count);
  for (int peer = 0; peer < ranks(); ++peer) {
    if (!reads(peer)) continue;
    const PacketHead head = slot_.packets(peer).head();
    if (head.shape != shape_of(call_) || head.root != call_.root ||
        head.count != static_cast<std::uint64_t>(call_.count)) {
      await_arrival(peer);  // throws: the peer's desk says what it calls
      ensure(false, "a packet of the call that the desk names");
    }
    group_->note_settled(peer, head.settled);
  }
  switch (call_.kind) {
    case CollectiveKind::kAllReduce:
    case CollectiveKind::kReduceScatter: {
      alignas(64) std::array<std::byte, 10 << 10> arrived;
      Pointers<const std::byte> sources(ranks());
      std::byte* next = arrived.data();
      for (int peer = 0; peer < ranks(); ++peer) {
        if (peer == rank()) {
          sources[peer] = call_.in_place() ? to(0) : from(rank() * call_.count);
          continue;
        }
        if (!read_packets(peer, next)) return false;
        sources[peer] = next;
        next += block;
      }
      std::byte* own = to(0);
      reduce({&own, 1}, sources.all(), call_.count, call_.type, call_.operation);
      break;
    }
    case CollectiveKind::kAllGather:
    case CollectiveKind::kAllToAll:
      for (int peer = 0; peer < ranks(); ++peer) {
        if (reads(peer) && !read_packets(peer, to(peer * call_.count))) return false;
      }
      copy_bytes(to(rank() * call_.count),
                 from(call_.kind == CollectiveKind::kAllToAll ? rank() * call_.count : 0), block);
      break;
    case CollectiveKind::kBroadcast:
      if (rank() != call_.root && !read_packets(call_.root, to(0))) return false;
      break;
    case CollectiveKind::kBarrier:
      break;
  }
  // The next call is likely to be as short: its lines come while this one ends and that begins.
  if (!recorded_) {
    const Slot next = group_->control().slot((slot_number_ + 1) % kLanes);
    next.packets(rank()).prefetch_to_write(block);
  }
  finish();
  return true;
}

/// The block of a peer's message that is for this rank.
bool Collective::read_packets(int peer, std::byte* to) const {
  const bool blocks =
      call_.kind == CollectiveKind::kReduceScatter || call_.kind == CollectiveKind::kAllToAll;
  const std::int64_t block = bytes(call_.count);
  return slot_.packets(peer).read(tag(), blocks ? rank() * block : 0, block, to);
}

void Collective::check_arrivals() {
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer == rank()) continue;
    group_->check(peer, waiting());
    group_->note_settled(peer, desk(peer).settled.load(kRelaxed));
  }
}

/// Whether peers can read in place what there is to read.
bool Collective::all_shared() const {
  for (int peer = 0; peer < ranks(); ++peer) {
    const bool read = call_.kind != CollectiveKind::kBroadcast || peer == call_.root;
    if (read && desk(peer).region.load(kRelaxed) == 0) return false;
  }
  return true;
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
  worked_ = true;
  step();
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
    call_.flight->move();
  }
}

void Collective::step() {
  desk(rank()).step.advance_to(base_ + ++steps_);
}

void Collective::await_step(int peer) const {
  group_->wait(desk(peer).step, base_ + steps_, peer, waiting());
}

bool Collective::all_steps_come(std::chrono::nanoseconds spin) const {
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer != rank() && !desk(peer).step.spin_until(base_ + steps_, spin)) return false;
  }
  return true;
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
