#include "collectives/flight_record.hpp"

#include <time.h>

#include <algorithm>
#include <chrono>

#include "collectives/communicator.hpp"
#include "collectives/flight_report.hpp"

namespace ingot {

double flight_clock() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

namespace {

/// As flight_clock(), but of the last tick, a few milliseconds ago, for a third of the price.
double coarse_clock() {
  timespec time = {};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

void FlightEntry::start() {
  started_.store(flight_clock(), std::memory_order_relaxed);
  starts_.fetch_add(1, std::memory_order_release);
}

void FlightEntry::move() {
  moved_.store(flight_clock(), std::memory_order_relaxed);
  if (FlightEntry* whole = whole_.load(std::memory_order_acquire)) whole->move();
}

void FlightEntry::finish() {
  if (FlightEntry* whole = whole_.load(std::memory_order_acquire)) whole->move();
  finished_.store(flight_clock(), std::memory_order_relaxed);
  finishes_.fetch_add(1, std::memory_order_release);
}

void FlightEntry::fail() {
  checking_.store(false, std::memory_order_relaxed);
  failed_.store(true, std::memory_order_release);
}

void FlightEntry::begin_check() {
  started_.store(flight_clock(), std::memory_order_relaxed);
  checking_.store(true, std::memory_order_release);
}

void FlightEntry::end_check() {
  checking_.store(false, std::memory_order_release);
}

/// Whoever reads a field of the new call sees that the number of the old one is gone: every store
/// releases the first one.
void FlightEntry::set(const CollectiveCall& call) {
  constexpr auto kRelease = std::memory_order_release;
  number_.store(0, kRelease);
  kind_.store(static_cast<std::uint8_t>(call.kind), kRelease);
  type_.store(static_cast<std::uint8_t>(call.type), kRelease);
  operation_.store(static_cast<std::uint8_t>(call.operation), kRelease);
  checking_.store(false, kRelease);
  failed_.store(false, kRelease);
  root_.store(call.root, kRelease);
  count_.store(call.count, kRelease);
  label_.store(call.label.what, kRelease);
  label_index_.store(call.label.index, kRelease);
  whole_.store(nullptr, kRelease);
  starts_.store(0, kRelease);
  finishes_.store(0, kRelease);
  enqueued_.store(coarse_clock(), kRelease);
  started_.store(0, kRelease);
  moved_.store(0, kRelease);
  finished_.store(0, kRelease);
  number_.store(call.sequence + 1, kRelease);
}

bool FlightEntry::read(FlightCall& to) const {
  constexpr auto kAcquire = std::memory_order_acquire;
  const std::uint64_t number = number_.load(kAcquire);
  if (number == 0) return false;
  to.sequence = number - 1;
  to.kind = static_cast<CollectiveKind>(kind_.load(kAcquire));
  to.type = static_cast<DType>(type_.load(kAcquire));
  to.operation = static_cast<ReduceOperation>(operation_.load(kAcquire));
  to.root = root_.load(kAcquire);
  to.count = count_.load(kAcquire);
  to.label = text_of({label_.load(kAcquire), label_index_.load(kAcquire)});
  to.checking = checking_.load(kAcquire);
  to.failed = failed_.load(kAcquire);
  // Finishes before starts: an entry read between the two must not seem finished too often.
  to.finishes = finishes_.load(kAcquire);
  to.starts = starts_.load(kAcquire);
  to.enqueued = enqueued_.load(kAcquire);
  to.started = started_.load(kAcquire);
  to.moved = moved_.load(kAcquire);
  to.finished = finished_.load(kAcquire);
  if (const FlightStamps* stamps = stamps_.load(kAcquire)) {
    // The GPU's clock may run a little fast: nothing has happened later than now.
    const double now = flight_clock();
    const FlightStamps::Reading finish = stamps->read(stamps->finish, number);
    const FlightStamps::Reading start = stamps->read(stamps->start, number);
    to.finishes += finish.count;
    to.starts += start.count;
    to.finished = std::max(to.finished, std::min(finish.seconds, now));
    to.started = std::max(to.started, std::min(start.seconds, now));
  }
  return number_.load(kAcquire) == number;
}

FlightRecord::FlightRecord() : ring_(kKept) {}

FlightEntry& FlightRecord::add(const CollectiveCall& call, bool recorded) {
  if (!recorded) {
    FlightEntry& entry = ring_[added_++ % kKept];
    entry.set(call);
    return entry;
  }
  const std::scoped_lock lock(mutex_);
  FlightEntry& entry = recorded_.emplace_back();
  entry.set(call);
  return entry;
}

std::vector<FlightCall> FlightRecord::snapshot() const {
  std::vector<FlightCall> calls;
  FlightCall call;
  const auto keep = [&](const FlightEntry& entry) {
    if (entry.read(call)) calls.push_back(call);
  };
  std::ranges::for_each(ring_, keep);
  {
    const std::scoped_lock lock(mutex_);
    std::ranges::for_each(recorded_, keep);
  }
  std::ranges::sort(calls, {}, &FlightCall::sequence);
  return calls;
}

void FlightRecord::fail_in_flight() {
  FlightCall call;
  const auto mark = [&](FlightEntry& entry) {
    if (entry.read(call) && call.starts > call.finishes) entry.fail();
  };
  std::ranges::for_each(ring_, mark);
  const std::scoped_lock lock(mutex_);
  std::ranges::for_each(recorded_, mark);
}

}  // namespace ingot
