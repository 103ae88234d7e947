#include "ops/device/cpu/sequence.hpp"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace ingot::cpu {
namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

/// Sleeps while the word holds `expected`, but no longer than `time`; may return early.
void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                const timespec* time = nullptr) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, time, nullptr, 0);
}

/// Only the address is used: the memory may be gone already, which the kernel answers with EFAULT
/// or a wake-up that its receiver takes for an early return.
void futex_wake_all(const std::atomic<std::uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

std::chrono::nanoseconds spin_time(std::int64_t busy_threads) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const bool known = sched_getaffinity(0, sizeof(cores), &cores) == 0;
  // About what falling asleep and being woken costs.
  constexpr std::chrono::nanoseconds kSpin{5000};
  return known && busy_threads <= CPU_COUNT(&cores) ? kSpin : std::chrono::nanoseconds{0};
}

void Sequence::advance_to(std::uint32_t value) {
  std::uint32_t word = word_.load();
  const std::uint32_t advanced = value << 1;
  do {
    if (reached_by(word, value)) return;
  } while (!word_.compare_exchange_weak(word, advanced));
  if ((word & 1U) != 0) futex_wake_all(&word_);
}

void Sequence::wait_for(std::uint32_t value, std::chrono::nanoseconds spin) const {
  std::uint32_t word = word_.load();
  if (reached_by(word, value)) return;
  if (spin.count() > 0) {
    const auto deadline = std::chrono::steady_clock::now() + spin;
    do {
      for (int i = 0; i < 16; ++i) pause();
      word = word_.load();
      if (reached_by(word, value)) return;
    } while (std::chrono::steady_clock::now() < deadline);
  }
  while (!reached_by(word, value)) {
    if ((word & 1U) == 0 && !word_.compare_exchange_weak(word, word | 1U)) continue;
    futex_wait(word_, word | 1U);
    word = word_.load();
  }
}

bool Sequence::wait_at_most(std::uint32_t value, std::chrono::nanoseconds time) const {
  using namespace std::chrono_literals;
  const auto deadline = std::chrono::steady_clock::now() + time;
  std::uint32_t word = word_.load();
  while (!reached_by(word, value)) {
    const std::chrono::nanoseconds left = deadline - std::chrono::steady_clock::now();
    if (left <= 0ns) return false;
    if ((word & 1U) == 0 && !word_.compare_exchange_weak(word, word | 1U)) continue;
    const timespec interval{.tv_sec = static_cast<time_t>(left / 1s),
                            .tv_nsec = static_cast<long>((left % 1s).count())};
    futex_wait(word_, word | 1U, &interval);
    word = word_.load();
  }
  return true;
}

}  // namespace ingot::cpu
