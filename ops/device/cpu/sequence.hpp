// A number that only grows and that threads can wait for: the one primitive of waiting on the CPU
// device. Waiters spin as long as they are told to and then sleep in the kernel (futex); an advance
// nobody sleeps on makes no system call.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace ingot::cpu {

/// How long a wait may spin before it sleeps, where `busy_threads` threads want to run on the cores
/// this process may use: a few microseconds, or nothing where threads outnumber cores.
std::chrono::nanoseconds spin_time(std::int64_t busy_threads);

/// Counts modulo 2^31; at any moment the numbers in use lie within 2^30 of each other.
class Sequence {
 public:
  /// Makes the number at least `value` and wakes who waits for that. What happened before is
  /// visible to whoever then finds the number reached. Touches the object once and atomically: a
  /// waiter may destroy it as soon as its wait returns.
  void advance_to(std::uint32_t value);
  bool reached(std::uint32_t value) const { return reached_by(word_.load(), value); }
  /// Blocks until the number is at least `value`.
  void wait_for(std::uint32_t value, std::chrono::nanoseconds spin) const;
  /// Sleeps until the number is at least `value` or the time is over; true if it is reached.
  bool wait_at_most(std::uint32_t value, std::chrono::nanoseconds time) const;

 private:
  static bool reached_by(std::uint32_t word, std::uint32_t value) {
    return static_cast<std::int32_t>((word & ~1U) - (value << 1)) >= 0;
  }

  /// The number in the upper 31 bits; the lowest bit is set while a waiter may be asleep, so that
  /// one exchange both publishes the number and tells whether to wake.
  mutable std::atomic<std::uint32_t> word_{0};
};

}  // namespace ingot::cpu
