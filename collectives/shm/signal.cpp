#include "collectives/shm/signal.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace ingot::shm {
namespace {

// Not the private kind of futex: the sleeper is another process, at another address.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                const timespec& time) {
  syscall(SYS_futex, &word, FUTEX_WAIT, expected, &time, nullptr, 0);
}
void futex_wake_all(const std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

void Signal::advance_to(std::uint32_t value) {
  if ((word_.exchange(value << 1, std::memory_order_acq_rel) & 1U) != 0) futex_wake_all(word_);
}

bool Signal::sleep_until(std::uint32_t value, std::chrono::nanoseconds time) const {
  using namespace std::chrono_literals;
  const auto deadline = std::chrono::steady_clock::now() + time;
  std::uint32_t word = word_.load(std::memory_order_acquire);
  while (!reached_by(word, value)) {
    const std::chrono::nanoseconds left = deadline - std::chrono::steady_clock::now();
    if (left <= 0ns) return false;
    if ((word & 1U) == 0 && !word_.compare_exchange_weak(word, word | 1U)) continue;
    const timespec interval{.tv_sec = static_cast<time_t>(left / 1s),
                            .tv_nsec = static_cast<long>((left % 1s).count())};
    futex_wait(word_, word | 1U, interval);
    word = word_.load(std::memory_order_acquire);
  }
  return true;
}

}  // namespace ingot::shm
