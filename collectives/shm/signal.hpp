// A number in memory that processes share, which only its owner advances and others wait for.
// Waiters spin as long as they are told to and then sleep in the kernel (futex); an advance nobody
// sleeps on makes no system call.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace ingot::shm {

/// Zero bytes are a Signal of value 0. Counts modulo 2^31; at any moment the numbers in use lie
/// within 2^30 of each other.
class Signal {
 public:
  /// What the owner did before is visible to whoever finds the number reached.
  void advance_to(std::uint32_t value);
  std::uint32_t value() const { return word_.load(std::memory_order_acquire) >> 1; }
  bool reached(std::uint32_t value) const {
    return reached_by(word_.load(std::memory_order_acquire), value);
  }
  /// Waits without sleeping, for at most about `time`; true if the number is reached.
  bool spin_until(std::uint32_t value, std::chrono::nanoseconds time) const;
  /// Sleeps until the number is reached or the time is over; true if it is reached.
  bool sleep_until(std::uint32_t value, std::chrono::nanoseconds time) const;

 private:
  static bool reached_by(std::uint32_t word, std::uint32_t value) {
    return static_cast<std::int32_t>((word & ~1U) - (value << 1)) >= 0;
  }

  /// The number in the upper 31 bits; the lowest bit is set while a waiter may be asleep.
  mutable std::atomic<std::uint32_t> word_;
};
static_assert(sizeof(Signal) == sizeof(std::uint32_t));

}  // namespace ingot::shm
