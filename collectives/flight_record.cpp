#include "collectives/flight_record.hpp"

#include <chrono>

#include "collectives/communicator.hpp"

namespace ingot {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

void FlightEntry::start() {
  started_.store(now(), std::memory_order_relaxed);
  starts_.fetch_add(1, std::memory_order_release);
}

void FlightEntry::finish() {
  finished_.store(now(), std::memory_order_relaxed);
  finishes_.fetch_add(1, std::memory_order_release);
}

FlightRecord::FlightRecord() : ring_(kKept) {}

FlightEntry& FlightRecord::add(const CollectiveCall& call, bool recorded) {
  FlightEntry& entry = recorded ? recorded_.emplace_back() : ring_[added_++ % kKept];
  constexpr auto kRelaxed = std::memory_order_relaxed;
  entry.starts_.store(0, kRelaxed);
  entry.finishes_.store(0, kRelaxed);
  entry.started_.store(0, kRelaxed);
  entry.finished_.store(0, kRelaxed);
  entry.kind_.store(static_cast<std::uint8_t>(call.kind), kRelaxed);
  entry.type_.store(static_cast<std::uint8_t>(call.type), kRelaxed);
  entry.operation_.store(static_cast<std::uint8_t>(call.operation), kRelaxed);
  entry.root_.store(call.root, kRelaxed);
  entry.count_.store(call.count, kRelaxed);
  entry.label_.store(call.label.what, kRelaxed);
  entry.label_index_.store(call.label.index, kRelaxed);
  entry.sequence_.store(call.sequence, kRelaxed);
  return entry;
}

}  // namespace ingot
