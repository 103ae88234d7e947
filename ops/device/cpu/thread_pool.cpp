// Pieces of a job are claimed one at a time from a word that holds the job's number and how many
// pieces are left. A claim succeeds only on the job it was made for, so a thread that wakes late
// cannot take a piece of a job it has not looked at, and a short job need not wait for sleepers.
#include "ops/device/cpu/thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ops/base/error.hpp"
#include "ops/device/cpu/sequence.hpp"
#include "ops/device/cpu/worker_thread.hpp"

namespace ingot::cpu {
namespace {

constexpr std::uint32_t kJobNumbers = std::uint32_t{1} << 31;  // as Sequence counts

struct Claim {
  std::uint32_t job = 0;
  std::uint32_t left = 0;
};
std::uint64_t pack(Claim claim) {
  return (std::uint64_t{claim.job} << 32) | claim.left;
}
Claim unpack(std::uint64_t word) {
  return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
}

}  // namespace

struct ThreadPool::State {
  int threads = 1;
  std::chrono::nanoseconds spin{0};
  std::vector<std::thread> helpers;
  std::atomic<bool> stopping{false};
  Sequence published;  ///< number of the newest job
  Sequence finished;   ///< number of the newest job all of whose pieces are done
  std::mutex callers;  ///< one job at a time

  // The job. Written before `claim` names it, read only by those that hold one of its pieces.
  std::uint32_t job = 0;
  std::int64_t count = 0;
  std::int64_t grain = 0;
  std::uint32_t pieces = 0;
  const RangeFunction* body = nullptr;
  std::atomic<std::uint64_t> claim{0};
  std::atomic<std::uint32_t> unfinished{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;

  void run_piece(std::uint32_t piece);
  std::uint32_t help();
  void work_until_stopped();
};

void ThreadPool::State::run_piece(std::uint32_t piece) {
  if (!failed.load(std::memory_order_relaxed)) {
    try {
      const std::int64_t begin = piece * grain;
      (*body)(begin, std::min(count, begin + grain));
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
  const std::uint32_t number = job;
  if (unfinished.fetch_sub(1) == 1) finished.advance_to(number);
}

/// Runs pieces of whatever job is current until none is left to claim; returns that job's number.
std::uint32_t ThreadPool::State::help() {
  std::uint64_t word = claim.load();
  while (unpack(word).left > 0) {
    if (!claim.compare_exchange_weak(word, word - 1)) continue;
    run_piece(pieces - unpack(word).left);
    word = claim.load();
  }
  return unpack(word).job;
}

void ThreadPool::State::work_until_stopped() {
  for (std::uint32_t next = 1;; ++next) {
    published.wait_for(next % kJobNumbers, spin);
    if (stopping.load()) return;
    // Jobs that this thread slept through are over; it goes on behind the newest it saw.
    next = help();
  }
}

ThreadPool::ThreadPool(int threads) : ThreadPool(threads, spin_time(threads)) {}

ThreadPool::ThreadPool(int threads, std::chrono::nanoseconds spin)
    : state_(std::make_unique<State>()) {
  ensure(threads >= 1, "a pool of at least one thread");
  state_->threads = threads;
  state_->spin = spin;
  for (int i = 1; i < threads; ++i) {
    state_->helpers.emplace_back([state = state_.get(), i] {
      prepare_worker_thread("ingot pool " + std::to_string(i));
      state->work_until_stopped();
    });
  }
}

ThreadPool::~ThreadPool() {
  state_->stopping.store(true);
  state_->published.advance_to((state_->job + 1) % kJobNumbers);
  for (std::thread& helper : state_->helpers) helper.join();
}

int ThreadPool::threads() const {
  return state_->threads;
}

void ThreadPool::parallel_for(std::int64_t count, std::int64_t grain, RangeFunction body) {
  ensure(grain > 0, "pieces of at least one element");
  if (count <= 0) return;
  const std::int64_t pieces = (count - 1) / grain + 1;
  if (state_->threads == 1 || pieces == 1) {
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      body(piece * grain, std::min(count, (piece + 1) * grain));
    }
    return;
  }
  ensure(pieces < (std::int64_t{1} << 32), "fewer than 2^32 pieces");
  State& state = *state_;
  const std::scoped_lock lock(state.callers);
  state.job = (state.job + 1) % kJobNumbers;
  state.count = count;
  state.grain = grain;
  state.pieces = static_cast<std::uint32_t>(pieces);
  state.body = &body;
  state.failed.store(false);
  state.error = nullptr;
  state.unfinished.store(state.pieces);
  state.claim.store(pack({state.job, state.pieces}));
  state.published.advance_to(state.job);
  state.help();
  state.finished.wait_for(state.job, state.spin);
  if (state.error) std::rethrow_exception(std::exchange(state.error, nullptr));
}

}  // namespace ingot::cpu
