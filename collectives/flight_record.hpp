// What the last collectives of a rank were and how far each has come: written before and after each
// exchange into memory that any thread may read at any time, so that a watchdog can tell what a job
// hangs in.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "collectives/flight_stamps.hpp"

namespace ingot {

struct CollectiveCall;
struct FlightCall;

/// One collective. Every field is written by one thread at a time and may be read meanwhile.
class FlightEntry {
 public:
  /// The exchange begins: the stream has come to it. Recorded calls begin at each replay.
  void start();
  /// A long exchange still moves data: slow is not hung. Calling it is up to the transport.
  void move();
  /// It is complete on this rank.
  void finish();
  /// Makes this call a part of another, in flight until this one is done: what moves here moves
  /// there too.
  void belong_to(FlightEntry* whole) { whole_.store(whole, std::memory_order_release); }
  /// The transport threw.
  void fail();
  /// Where a GPU tells of this entry's calls, beside start() and finish(); as long as the entry.
  void set_stamps(FlightStamps* stamps) { stamps_.store(stamps, std::memory_order_release); }
  FlightStamps* stamps() const { return stamps_.load(std::memory_order_acquire); }
  /// The call waits for the ranks' comparison of what they call (collectives.check).
  void begin_check();
  void end_check();

 private:
  friend class FlightRecord;
  void set(const CollectiveCall& call);
  bool read(FlightCall& to) const;

  /// The call's number plus one; 0 while the entry is unused or being rewritten.
  std::atomic<std::uint64_t> number_{0};
  std::atomic<std::uint8_t> kind_{0};
  std::atomic<std::uint8_t> type_{0};
  std::atomic<std::uint8_t> operation_{0};
  std::atomic<bool> checking_{false};
  std::atomic<bool> failed_{false};
  std::atomic<int> root_{0};
  std::atomic<std::int64_t> count_{0};
  std::atomic<const char*> label_{""};
  std::atomic<std::int32_t> label_index_{-1};
  std::atomic<std::int64_t> starts_{0};
  std::atomic<std::int64_t> finishes_{0};
  std::atomic<FlightEntry*> whole_{nullptr};
  std::atomic<FlightStamps*> stamps_{nullptr};
  // Steady-clock seconds; 0: never.
  std::atomic<double> enqueued_{0};
  std::atomic<double> started_{0};
  std::atomic<double> moved_{0};
  std::atomic<double> finished_{0};
};

/// The calls of one communicator.
class FlightRecord {
 public:
  static constexpr std::size_t kKept = 1024;  ///< last calls that are remembered

  FlightRecord();
  /// The entry for a call that is about to be enqueued. That of a recorded call is its own for
  /// good; others are reused after kKept calls.
  FlightEntry& add(const CollectiveCall& call, bool recorded);
  /// What is known of the kept calls, by sequence. From any thread; entries that are rewritten
  /// meanwhile are left out.
  std::vector<FlightCall> snapshot() const;
  /// Marks the calls in flight as failed: for a transport that hears of an error in the background.
  void fail_in_flight();

 private:
  std::vector<FlightEntry> ring_;
  mutable std::mutex mutex_;
  std::deque<FlightEntry> recorded_;  ///< its length is guarded by mutex_
  std::uint64_t added_ = 0;
};

/// Seconds of the clock that flight records use: steady, of this process alone.
double flight_clock();

}  // namespace ingot
