// What the last collectives of a rank were and how far each has come: written before and after each
// exchange into memory that any thread may read at any time, so that a watchdog can tell what a job
// hangs in.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "ops/tensor.hpp"

namespace ingot {

struct CollectiveCall;

/// One collective. Every field is written by one thread at a time and may be read meanwhile: a
/// reader sees each field whole, though perhaps not all of the same call.
class FlightEntry {
 public:
  /// The exchange begins: the stream has come to it. Recorded calls begin at each replay.
  void start();
  /// It is complete on this rank.
  void finish();

  std::uint64_t sequence() const { return sequence_.load(std::memory_order_relaxed); }
  std::int64_t starts() const { return starts_.load(std::memory_order_acquire); }
  std::int64_t finishes() const { return finishes_.load(std::memory_order_acquire); }
  /// Steady-clock seconds of the last start and finish; 0 before the first.
  double started() const { return started_.load(std::memory_order_relaxed); }
  double finished() const { return finished_.load(std::memory_order_relaxed); }

 private:
  friend class FlightRecord;
  std::atomic<std::uint64_t> sequence_{0};
  std::atomic<std::uint8_t> kind_{0};
  std::atomic<std::uint8_t> type_{0};
  std::atomic<std::uint8_t> operation_{0};
  std::atomic<int> root_{0};
  std::atomic<std::int64_t> count_{0};
  std::atomic<const char*> label_{""};
  std::atomic<std::int32_t> label_index_{-1};
  std::atomic<std::int64_t> starts_{0};
  std::atomic<std::int64_t> finishes_{0};
  std::atomic<double> started_{0};
  std::atomic<double> finished_{0};
};

class FlightRecord {
 public:
  static constexpr std::size_t kKept = 1024;  ///< last calls that are remembered

  FlightRecord();
  /// The entry for a call that is about to be enqueued. That of a recorded call is its own for
  /// good; others are reused after kKept calls.
  FlightEntry& add(const CollectiveCall& call, bool recorded);

 private:
  std::vector<FlightEntry> ring_;
  std::deque<FlightEntry> recorded_;
  std::uint64_t added_ = 0;
};

}  // namespace ingot
