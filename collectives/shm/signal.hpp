// A number in memory that processes share, which only its owner advances and others wait for.
// Waiters spin as long as they are told to and then sleep in the kernel (futex); an advance nobody
// sleeps on makes no system call.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace ingot::shm {

/// Asks until `there()` is true or about `time` is over, without sleeping; whether it is.
template <typename F>
bool spin_until(F there, std::chrono::nanoseconds time) {
  if (there()) return true;
  if (time.count() <= 0) return false;
  // A peer in step answers sooner than a pause of some processors takes.
  for (int i = 0; i < 200; ++i) {
    if (there()) return true;
  }
  const auto deadline = std::chrono::steady_clock::now() + time;
  do {
    for (int i = 0; i < 32; ++i) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      if (there()) return true;
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

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
  bool spin_until(std::uint32_t value, std::chrono::nanoseconds time) const {
    return shm::spin_until([this, value] { return reached(value); }, time);
  }
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
