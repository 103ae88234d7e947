// Fills the batches of coming micro batches on a thread of its own while the device computes. The
// ring of batches is allocated at construction; nothing is allocated afterwards.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "ops/base/error.hpp"
#include "runtime/data/sampler.hpp"

namespace ingot {

/// Loader: TokenLoader, TableLoader, or anything with Batch, Memory, make_memory() and fill().
template <typename Loader>
class Prefetcher {
 public:
  using Batch = typename Loader::Batch;

  /// The loader outlives this. `first_step` counts from 0; `slots` batches are kept (at least 2:
  /// one in use, one being filled).
  Prefetcher(const Loader& loader, SampleAssignment assignment, std::int64_t first_step,
             std::int64_t slots = 3)
      : loader_(loader), assignment_(assignment), first_step_(first_step) {
    ensure(slots >= 2, "at least two slots");
    for (std::int64_t slot = 0; slot < slots; ++slot) {
      memories_.push_back(loader.make_memory(assignment.micro));
    }
    thread_ = std::thread([this] { fill_ahead(); });
  }
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The batch of this rank's next micro batch: parts 0 ... accumulation - 1 of the first step,
  /// then of the next. It stays as it is until the next call. Rethrows what the loader threw.
  const Batch& next() {
    std::unique_lock lock(mutex_);
    released_ = taken_;  // the batch handed out before may be refilled from now on
    changed_.notify_all();
    if (filled_ == taken_ && !error_) {
      const auto start = std::chrono::steady_clock::now();
      changed_.wait(lock, [this] { return filled_ > taken_ || error_; });
      waited_ += std::chrono::steady_clock::now() - start;
    }
    if (filled_ == taken_) std::rethrow_exception(error_);
    return memory_of(taken_++).batch();
  }

  /// Seconds that next() has waited for data so far; for the thread that calls next().
  double waited_seconds() const { return std::chrono::duration<double>(waited_).count(); }

 private:
  typename Loader::Memory& memory_of(std::int64_t number) {
    return memories_[static_cast<std::size_t>(number) % memories_.size()];
  }

  void fill_ahead() {
    const auto slots = static_cast<std::int64_t>(memories_.size());
    for (std::int64_t number = 0;; ++number) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopping_ || number < released_ + slots; });
        if (stopping_) return;
      }
      std::exception_ptr error;
      try {
        const std::int64_t step = first_step_ + number / assignment_.accumulation;
        loader_.fill(memory_of(number).batch(),
                     assignment_.first_sample(step, number % assignment_.accumulation),
                     assignment_.micro);
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        if (error) {
          error_ = error;
        } else {
          filled_ = number + 1;
        }
      }
      changed_.notify_all();
      if (error) return;
    }
  }

  const Loader& loader_;
  SampleAssignment assignment_;
  std::int64_t first_step_;
  std::vector<typename Loader::Memory> memories_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Numbers of micro batches: filled_ by the thread, taken_ by next(), released_ for refilling.
  std::int64_t filled_ = 0;
  std::int64_t taken_ = 0;
  std::int64_t released_ = 0;
  bool stopping_ = false;
  std::exception_ptr error_;
  std::chrono::steady_clock::duration waited_{};
  std::thread thread_;
};

}  // namespace ingot
