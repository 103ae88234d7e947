// The clocks of warps, and the comparison with the records of words.
#include "check/peer_order.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <unordered_map>

namespace gpusim {
namespace {

/// Of one flag in memory that only this process uses.
struct LocalPublication {
  int device = 0;
  PeerScope scope = PeerScope::kDevice;
  PeerClock clock;
};

struct Process {
  std::mutex mutex;
  PeerClock known;  ///< from launches that have ended
  std::set<std::uint32_t> running;
  std::vector<std::uint32_t> unobserved;  ///< have ended, and the host may not know
  std::unordered_map<std::string, std::uint16_t> places;
  std::atomic<std::int64_t> joined{0};

  std::mutex flags_mutex;
  std::atomic<bool> any_flags{false};
  std::unordered_map<std::uint64_t, std::vector<LocalPublication>> flags;
};

Process& process() {
  static Process* all = new Process;
  return *all;
}

std::uint32_t own_number() {
  return static_cast<std::uint32_t>(getpid());
}

std::shared_ptr<const PeerClock> joined(const std::shared_ptr<const PeerClock>& a,
                                        const PeerClock& b) {
  if (b.empty() || (a != nullptr && a->covers(b.words()))) return a;
  auto result = a == nullptr ? std::make_shared<PeerClock>() : std::make_shared<PeerClock>(*a);
  result->join(b);
  return result;
}

std::shared_ptr<const PeerClock> joined(const std::shared_ptr<const PeerClock>& a,
                                        const std::shared_ptr<const PeerClock>& b) {
  if (b == nullptr || a == b) return a;
  if (a == nullptr) return b;
  return joined(a, *b);
}

std::uint32_t lock_of(const PeerTracking& tracking, std::uint64_t offset) {
  (void)tracking;
  return static_cast<std::uint32_t>(offset / 4096 % PeerSegment::kLocks);
}

PeerRecord& record_of(const PeerTracking& tracking, std::uint64_t location) {
  return tracking.records[(location - tracking.owner_offset) / 4];
}

}  // namespace

std::int64_t peer_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void peer_host_waited() {
  if (!peer_memory_tracked()) return;
  Process& p = process();
  PeerSegment* segment = PeerSegment::own();
  const std::int64_t now = peer_now();
  const std::lock_guard lock(p.mutex);
  for (const std::uint32_t launch : p.unobserved) {
    PeerSegment::Launched& entry = segment->ring[launch % PeerSegment::kRing];
    if (entry.launch == launch) entry.observed = now;
  }
  p.unobserved.clear();
}

void peer_joined_others() {
  if (peer_memory_tracked()) process().joined = peer_now();
}

bool peer_flags_in_use() {
  return process().any_flags.load(std::memory_order_relaxed);
}

std::uint16_t peer_place(const std::string& text) {
  PeerSegment* segment = PeerSegment::own();
  if (segment == nullptr) return 0;
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  const auto found = p.places.find(text);
  if (found != p.places.end()) return found->second;
  const std::uint32_t place = segment->places.load();
  if (place >= PeerSegment::kPlaces) return 0;
  std::strncpy(segment->place_text[place], text.c_str(), PeerSegment::kPlaceBytes - 1);
  segment->places = place + 1;
  p.places.emplace(text, static_cast<std::uint16_t>(place));
  return static_cast<std::uint16_t>(place);
}

PeerLaunch::PeerLaunch(int device, std::int64_t enqueued) : device_(device) {
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  since_ = std::max(enqueued, p.joined.load());
  base_ = std::make_shared<PeerClock>(p.known);
}

std::uint32_t PeerLaunch::activate() {
  std::uint32_t number = number_.load(std::memory_order_acquire);
  if (number != 0) return number;
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  number = number_.load();
  if (number != 0) return number;
  PeerSegment* segment = PeerSegment::own();
  number = segment->launches.load() + 1;
  PeerSegment::Launched& entry = segment->ring[number % PeerSegment::kRing];
  entry.observed = 0;
  entry.launch = number;
  segment->launches = number;
  p.running.insert(number);
  number_.store(number, std::memory_order_release);
  return number;
}

void PeerLaunch::ended(const PeerClock& known) {
  const std::lock_guard lock(mutex_);
  known_at_end_.join(known);
}

PeerLaunch::~PeerLaunch() {
  const std::uint32_t number = number_.load();
  if (number == 0) return;
  Process& p = process();
  const std::lock_guard lock(p.mutex);
  p.running.erase(number);
  p.known.join(known_at_end_);
  p.known.complete(own_number(), number);
  p.known.complete_up_to(own_number(), p.running.empty() ? PeerSegment::own()->launches.load()
                                                         : *p.running.begin() - 1);
  p.unobserved.push_back(number);
}

void PeerBlock::start(PeerLaunch* launch, std::uint64_t number, int warps) {
  // What cannot be told apart in a record is not watched.
  launch_ = number < PeerAccess::kBlocks && warps <= 32 ? launch : nullptr;
  active_ = false;
  if (launch_ == nullptr) return;
  block_ = static_cast<std::uint32_t>(number);
  process_ = own_number();
  warps_.resize(static_cast<std::size_t>(warps));
  shared_published_ = PeerClock();
}

void PeerBlock::activate() {
  if (active_) return;
  active_ = true;
  number_ = launch_->activate();
  for (Warp& warp : warps_) {
    warp = Warp();
    warp.known = launch_->base();
    for (auto& flushed : warp.flushed) flushed = launch_->base();
  }
}

void PeerBlock::finish() {
  if (launch_ == nullptr || !active_) return;
  PeerClock all;
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    join_lanes(warps_[w]);
    if (w == 0 || warps_[w].known != warps_[w - 1].known) all.join(*warps_[w].known);
  }
  launch_->ended(all);
}

void PeerBlock::tick(Warp& warp) {
  if (warp.time + 1 < PeerAccess::kTimes) ++warp.time;
}

PeerClock PeerBlock::full(int warp, int lane) {
  Warp& here_warp = warp_at(warp);
  PeerClock result = *here_warp.known;
  WarpTime mine{here_warp.time, 0, 0};
  if (lane >= 0) {
    mine = {here_warp.synced, here_warp.time, 1u << lane};
    const auto found = here_warp.lanes.find(lane);
    if (found != here_warp.lanes.end()) result.join(found->second.known);
  }
  result.join_warp(here(), static_cast<std::uint32_t>(warps_.size()),
                   static_cast<std::uint32_t>(warp), mine);
  return result;
}

void PeerBlock::join_lanes(Warp& warp) {
  for (auto& [number, lane] : warp.lanes) {
    warp.known = joined(warp.known, lane.known);
    for (int s = 0; s < kScopes; ++s) {
      warp.flushed[s] = joined(warp.flushed[s], lane.flushed[s]);
      warp.pending[s] = joined(warp.pending[s], lane.pending[s]);
    }
  }
  warp.lanes.clear();
}

void PeerBlock::meet(std::uint64_t arrived, std::uint64_t waiting) {
  if (!active_) return;
  Known known, flushed[kScopes], pending[kScopes];
  std::vector<std::uint32_t> words = {process_, number_, block_,
                                      static_cast<std::uint32_t>(warps_.size())};
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    Warp& warp = warps_[w];
    const bool there = ((arrived | waiting) >> w & 1) != 0;
    words.insert(words.end(), {there ? warp.time : 0, 0, 0});
    if (!there) continue;
    join_lanes(warp);
    known = joined(known, warp.known);
    for (int s = 0; s < kScopes; ++s) {
      flushed[s] = joined(flushed[s], warp.flushed[s]);
      pending[s] = joined(pending[s], warp.pending[s]);
    }
  }
  known = joined(known, PeerClock(words));
  for (std::size_t w = 0; w < warps_.size(); ++w) {
    Warp& warp = warps_[w];
    if (((arrived | waiting) >> w & 1) == 0) continue;
    if ((waiting >> w & 1) != 0) {
      warp.known = known;
      for (int s = 0; s < kScopes; ++s) {
        warp.flushed[s] = flushed[s];
        warp.pending[s] = pending[s];
      }
      warp.synced = warp.time;
    }
    tick(warp);
  }
}

void PeerBlock::meet_blocks(const std::vector<PeerBlock*>& blocks) {
  bool any = false;
  for (const PeerBlock* block : blocks) any = any || block->active_;
  if (!any) return;
  Known known, flushed[kScopes], pending[kScopes];
  for (PeerBlock* block : blocks) {
    if (!block->watching()) return;
    block->activate();
    for (const Warp& warp : block->warps_) {
      known = joined(known, warp.known);
      for (int s = 0; s < kScopes; ++s) {
        flushed[s] = joined(flushed[s], warp.flushed[s]);
        pending[s] = joined(pending[s], warp.pending[s]);
      }
    }
  }
  for (PeerBlock* block : blocks) {
    for (Warp& warp : block->warps_) {
      warp.known = known;
      for (int s = 0; s < kScopes; ++s) {
        warp.flushed[s] = flushed[s];
        warp.pending[s] = pending[s];
      }
    }
  }
}

void PeerBlock::warp_sync(int number) {
  if (!active_) return;
  Warp& warp = warp_at(number);
  join_lanes(warp);
  warp.synced = warp.time;
  tick(warp);
}

void PeerBlock::fence(int number, std::uint32_t lanes, PeerScope scope) {
  if (!active_) return;
  Warp& warp = warp_at(number);
  for (int lane = 0; lane < 32; ++lane) {
    if ((lanes >> lane & 1) == 0) continue;
    Lane& own = warp.lanes[lane];
    for (int s = 0; s <= static_cast<int>(scope); ++s) {
      own.known.join(own.pending[s]);
      if (warp.pending[s] != nullptr) own.known.join(*warp.pending[s]);
      own.pending[s] = PeerClock();
    }
    const PeerClock all = full(number, lane);
    for (int s = 0; s <= static_cast<int>(scope); ++s) own.flushed[s] = all;
  }
  tick(warp);
}

void PeerBlock::shared_release(int number) {
  if (!active_) return;
  join_lanes(warp_at(number));
  shared_published_.join(full(number, -1));
  tick(warp_at(number));
}

void PeerBlock::shared_acquire(int number) {
  if (!active_) return;
  Warp& warp = warp_at(number);
  warp.known = joined(warp.known, shared_published_);
}

void PeerBlock::publish(const PeerTracking* tracking, std::uint64_t location,
                        const PeerClock& clock, PeerScope scope) {
  if (clock.empty()) return;
  if (tracking == nullptr) {
    Process& p = process();
    p.any_flags = true;
    auto& all = p.flags[location];
    for (LocalPublication& entry : all) {
      if (entry.scope == scope && entry.device == launch_->device()) {
        entry.clock.join(clock);
        return;
      }
    }
    all.push_back({launch_->device(), scope, clock});
    return;
  }
  PeerSegment& segment = *tracking->segment;
  std::uint32_t* link = &record_of(*tracking, location).publications;
  PeerClock all = clock;
  while (*link != 0) {
    PeerPublication& entry = segment.publication(*link);
    if (entry.process == process_ && entry.scope == static_cast<std::uint32_t>(scope) &&
        entry.device == launch_->device()) {
      all.join(std::span<const std::uint32_t>(entry.words, entry.size));
      const auto size = static_cast<std::uint32_t>(all.words().size());
      if (size <= entry.capacity) {
        std::copy(all.words().begin(), all.words().end(), entry.words);
        entry.size = size;
        return;
      }
      *link = entry.next;  // a larger one takes its place
      continue;
    }
    link = &entry.next;
  }
  const auto size = static_cast<std::uint32_t>(all.words().size());
  const std::uint32_t place = segment.new_publication(2 * size + 16);
  if (place == 0) return;
  PeerPublication& entry = segment.publication(place);
  entry.next = 0;
  entry.process = process_;
  entry.device = launch_->device();
  entry.scope = static_cast<std::uint32_t>(scope);
  entry.size = size;
  std::copy(all.words().begin(), all.words().end(), entry.words);
  *link = place;
}

void PeerBlock::release(const PeerTracking* tracking, std::uint64_t location, int number, int lane,
                        bool releases, PeerScope scope) {
  // A kernel that only sets a flag hands on what was done before it.
  if (!active_ && tracking == nullptr) return;
  activate();
  Warp& warp = warp_at(number);
  if (releases) {
    publish(tracking, location, full(number, lane), scope);
    tick(warp);
    return;
  }
  for (int s = 0; s <= static_cast<int>(scope); ++s) {
    PeerClock flushed;
    if (warp.flushed[s] != nullptr) flushed = *warp.flushed[s];
    const auto found = warp.lanes.find(lane);
    if (found != warp.lanes.end()) flushed.join(found->second.flushed[s]);
    publish(tracking, location, flushed, static_cast<PeerScope>(s));
  }
}

void PeerBlock::acquire(const PeerTracking* tracking, std::uint64_t location, int number, int lane,
                        bool acquires, PeerScope scope) {
  const auto take = [&](int device, PeerScope published, std::span<const std::uint32_t> words) {
    // On one device the scope of the device suffices.
    const PeerScope needed = device == launch_->device() ? PeerScope::kDevice : PeerScope::kSystem;
    if (published < needed || scope < needed) return;
    activate();
    Warp& warp = warp_at(number);
    if (warp.known->covers(words)) return;
    Lane& own = warp.lanes[lane];
    (acquires ? own.known : own.pending[static_cast<int>(needed)]).join(words);
  };
  if (tracking == nullptr) {
    const auto found = process().flags.find(location);
    if (found == process().flags.end()) return;
    for (const LocalPublication& entry : found->second) {
      take(entry.device, entry.scope, entry.clock.words());
    }
    return;
  }
  PeerSegment& segment = *tracking->segment;
  std::uint32_t place = record_of(*tracking, location).publications;
  while (place != 0) {
    const PeerPublication& entry = segment.publication(place);
    take(entry.device, static_cast<PeerScope>(entry.scope),
         std::span<const std::uint32_t>(entry.words, entry.size));
    place = entry.next;
  }
}

namespace {

/// The launch that a record means: its low bits, and not later than the process's last one.
std::uint32_t whole_launch(const PeerSegment& segment, std::uint32_t low) {
  const std::uint32_t latest = segment.launches.load();
  std::uint32_t launch = latest / PeerAccess::kLaunches * PeerAccess::kLaunches + low;
  if (launch > latest && launch >= PeerAccess::kLaunches) launch -= PeerAccess::kLaunches;
  return launch;
}

PeerSegment* segment_of(const PeerTracking& tracking, std::uint32_t participant, int& number) {
  const PeerSegment::Participant& entry = tracking.segment->participants[participant];
  number = entry.process.load();
  return number > 0 ? PeerSegment::of_process(number, entry.descriptor.load()) : nullptr;
}

}  // namespace

bool PeerBlock::ordered(const PeerTracking& tracking, const PeerAccess& before, int number,
                        int lane) {
  int other = 0;
  PeerSegment* segment = segment_of(tracking, before.participant, other);
  if (segment == nullptr) return true;  // its process has ended
  const std::uint32_t launch = whole_launch(*segment, before.launch);
  const Warp& warp = warp_at(number);
  const bool mine = static_cast<std::uint32_t>(other) == process_;
  // Other launches of this process are the business of the order between streams.
  if (mine && launch != number_) return true;
  if (mine && before.block == block_ && static_cast<int>(before.warp) == number) {
    return static_cast<int>(before.lane) == lane || before.time <= warp.synced;
  }
  const PeerClock::Place place{static_cast<std::uint32_t>(other), launch, before.block};
  if (warp.known->knows(place, before.warp, before.lane, before.time)) return true;
  const auto own = warp.lanes.find(lane);
  if (own != warp.lanes.end() &&
      own->second.known.knows(place, before.warp, before.lane, before.time)) {
    return true;
  }
  if (mine) return false;
  const PeerSegment::Launched& entry = segment->ring[launch % PeerSegment::kRing];
  if (entry.launch != launch) return true;  // long ago
  const std::int64_t observed = entry.observed;
  return observed != 0 && observed <= launch_->since();
}

void PeerBlock::describe(const PeerTracking& tracking, const PeerAccess& before,
                         std::uint16_t place, bool wrote, PeerConflict& conflict) const {
  conflict.found = true;
  int other = 0;
  PeerSegment* segment = segment_of(tracking, before.participant, other);
  std::string who = "a kernel";
  if (segment != nullptr && place != 0 && place < PeerSegment::kPlaces) {
    who = segment->place_text[place];
  }
  const bool mine = static_cast<std::uint32_t>(other) == process_;
  conflict.text = std::string(wrote ? "written by " : "read by ") + who + ", block " +
                  std::to_string(before.block) + " thread " +
                  std::to_string(before.warp * 32 + before.lane) +
                  (mine ? " of the same launch" : " of process " + std::to_string(other)) +
                  ", and nothing orders the two (a release by the one and an acquire by the other" +
                  (mine ? "" : ", of scope sys") + ", with the block's barriers around them)";
}

PeerConflict PeerBlock::access(const PeerTracking& tracking, std::uint64_t offset,
                               std::uint64_t bytes, int warp_number, int lane, bool write,
                               bool strong, std::uint16_t place) {
  PeerConflict conflict;
  if (bytes == 0 || tracking.segment->exhausted != 0) return conflict;
  activate();
  PeerAccess self;
  self.participant = static_cast<std::uint32_t>(tracking.participant);
  self.launch = number_ % PeerAccess::kLaunches;
  self.block = block_;
  self.warp = static_cast<std::uint32_t>(warp_number);
  self.lane = static_cast<std::uint32_t>(lane);
  self.time = warp_at(warp_number).time;
  self.strong = strong;
  const std::uint64_t packed = self.pack();
  std::uint64_t known_good = 0;
  const auto races = [&](std::uint64_t before) {
    if (before == 0 || before == packed || before == known_good) return false;
    const PeerAccess other = PeerAccess::unpack(before);
    if (other.strong && strong) return false;
    if (!ordered(tracking, other, warp_number, lane)) return true;
    known_good = before;
    return false;
  };
  const std::uint64_t last = (offset + bytes - 1) / 4;
  std::uint32_t held = PeerSegment::kLocks;
  for (std::uint64_t word = offset / 4; word <= last; ++word) {
    const std::uint32_t wanted = lock_of(tracking, word * 4);
    if (wanted != held) {
      if (held != PeerSegment::kLocks) tracking.segment->unlock(held);
      tracking.segment->lock(wanted);
      held = wanted;
    }
    PeerRecord& record = tracking.records[word - tracking.owner_offset / 4];
    if (!conflict.found && races(record.write)) {
      describe(tracking, PeerAccess::unpack(record.write), record.places[0], true, conflict);
    }
    if (write) {
      for (int r = 0; r < PeerRecord::kReaders; ++r) {
        if (!conflict.found && races(record.readers[r])) {
          describe(tracking, PeerAccess::unpack(record.readers[r]), record.places[r + 1], false,
                   conflict);
        }
        record.readers[r] = 0;
      }
      record.write = packed;
      record.places[0] = place;
      continue;
    }
    // The place of an earlier read by the same warp or of an earlier launch, or a free one.
    int slot = -1;
    for (int r = 0; r < PeerRecord::kReaders && slot < 0; ++r) {
      if (record.readers[r] == 0) {
        slot = r;
        break;
      }
      const PeerAccess other = PeerAccess::unpack(record.readers[r]);
      if (other.participant != self.participant) continue;
      const bool same_warp = other.block == self.block && other.warp == self.warp;
      if (other.launch != self.launch || same_warp) slot = r;
    }
    if (slot < 0) slot = static_cast<int>(word % PeerRecord::kReaders);
    record.readers[slot] = packed;
    record.places[slot + 1] = place;
  }
  if (held != PeerSegment::kLocks) tracking.segment->unlock(held);
  return conflict;
}

PeerFlag::PeerFlag(PeerBlock& block, const PeerTracking* tracking, std::uint64_t location)
    : block_(block), tracking_(tracking), location_(location / 4 * 4) {
  if (tracking_ != nullptr) {
    tracking_->segment->lock(lock_of(*tracking_, location_));
  } else {
    process().flags_mutex.lock();
  }
}

PeerFlag::~PeerFlag() {
  if (tracking_ != nullptr) {
    tracking_->segment->unlock(lock_of(*tracking_, location_));
  } else {
    process().flags_mutex.unlock();
  }
}

void PeerFlag::before_write(int warp, int lane, bool releases, PeerScope scope) {
  block_.release(tracking_, location_, warp, lane, releases, scope);
}

void PeerFlag::after_read(int warp, int lane, bool acquires, PeerScope scope) {
  block_.acquire(tracking_, location_, warp, lane, acquires, scope);
}

}  // namespace gpusim
