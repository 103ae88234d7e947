#include "collectives/mpi/progress_thread.hpp"

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <utility>

#include "ops/device/cpu/worker_thread.hpp"

namespace ingot::mpi {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr std::chrono::nanoseconds kNoSpin{0};
constexpr std::size_t kExpectedTransfers = 1024;

/// Between looks into the mailbox, while nothing came of late and while letters go to and fro.
constexpr std::chrono::milliseconds kQuietMail{20};
constexpr std::chrono::milliseconds kBusyMail{1};
constexpr std::chrono::milliseconds kBusyFor{500};
constexpr std::uint32_t kRoundsPerLook = 64;

Error as_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    return {ExitCode::kInternal, fmt::format("unexpected: {}", error.what())};
  }
}

}  // namespace

ProgressThread::ProgressThread(const std::function<void()>& start, std::function<void()> finish,
                               std::chrono::duration<double> timeout)
    : finish_(std::move(finish)), timeout_(timeout.count()) {
  posted_.reserve(kExpectedTransfers);
  active_.reserve(kExpectedTransfers);
  std::promise<void> started;
  std::future<void> ready = started.get_future();
  thread_ = std::thread([this, &start, started = std::move(started)]() mutable {
    cpu::prepare_worker_thread("ingot mpi");
    cpu::prefer_prompt_wakeups();
    try {
      start();
    } catch (...) {
      started.set_exception(std::current_exception());
      return;
    }
    started.set_value();
    run_until_stopped();
  });
  try {
    if (timeout > timeout.zero() && ready.wait_for(timeout) != std::future_status::ready) {
      // The thread is inside MPI and cannot be ended.
      std::fprintf(stderr,
                   "ingot: MPI does not start within %g s: some rank hangs before MPI_Init or "
                   "cannot be reached\n",
                   timeout.count());
      _exit(static_cast<int>(ExitCode::kTimeout));
    }
    ready.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

ProgressThread::~ProgressThread() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_.store(true);
    news_.advance_to(++posts_);
  }
  thread_.join();
}

void ProgressThread::set_processes_on_node(int processes) {
  may_yield_.store(cpu::spin_time(processes) > kNoSpin);
}

void ProgressThread::post(Transfer& transfer) {
  ++transfer.posts_;
  const std::scoped_lock lock(mutex_);
  posted_.push_back(&transfer);
  news_.advance_to(++posts_);
}

void ProgressThread::wait(Transfer& transfer) {
  transfer.done_.wait_for(transfer.posts_, kNoSpin);
  if (!transfer.error_) return;
  const std::exception_ptr error = std::exchange(transfer.error_, nullptr);
  std::function<void(const Error&)> failed;
  {
    const std::scoped_lock lock(failed_mutex_);
    failed = failed_;
  }
  if (failed) failed(as_error(error));
  std::rethrow_exception(error);
}

void ProgressThread::set_failed(std::function<void(const Error&)> failed) {
  const std::scoped_lock lock(failed_mutex_);
  failed_ = std::move(failed);
}

void ProgressThread::set_mailbox(Mailbox* mailbox) {
  {
    const std::scoped_lock lock(mailbox_mutex_);
    mailbox_ = mailbox;
  }
  has_mailbox_.store(mailbox != nullptr);
  nudge();
}

void ProgressThread::nudge() {
  nudged_.store(true);
  const std::scoped_lock lock(mutex_);
  news_.advance_to(++posts_);
}

/// Rarely, since a look costs about what a small collective does.
void ProgressThread::poll_mailbox() {
  if (!has_mailbox_.load(std::memory_order_relaxed)) return;
  const bool now = nudged_.load(std::memory_order_relaxed) && nudged_.exchange(false);
  if (!now && !active_.empty() && ++rounds_ % kRoundsPerLook != 0) return;
  const auto time = Clock::now();
  const auto interval = time - mail_moved_ < kBusyFor ? kBusyMail : kQuietMail;
  if (!now && time - polled_ < interval) return;
  polled_ = time;
  const std::scoped_lock lock(mailbox_mutex_);
  if (mailbox_ == nullptr) return;
  try {
    if (mailbox_->poll()) mail_moved_ = time;
  } catch (const std::exception&) {
    // A peer has gone, and MPI with it. What this rank can still say needs no letters.
    mailbox_ = nullptr;
    has_mailbox_.store(false);
  }
}

void ProgressThread::abort(int exit_code) {
  std::fflush(nullptr);
  // Zero would tell mpirun that all is well.
  abort_code_.store(exit_code == 0 ? static_cast<int>(ExitCode::kInternal) : exit_code);
  {
    const std::scoped_lock lock(mutex_);
    news_.advance_to(++posts_);
  }
  // The progress thread ends the process. Should it be stuck inside MPI, mpirun still sees this
  // rank's exit code and ends the others.
  std::this_thread::sleep_for(std::chrono::seconds(2));
  _exit(exit_code);
}

void ProgressThread::run_until_stopped() {
  std::uint32_t seen = 0;
  int idle_rounds = 0;
  while (true) {
    if (news_.reached(seen + 1)) {
      const std::scoped_lock lock(mutex_);
      seen = posts_;
      for (Transfer* transfer : posted_) {
        transfer->last_move_ = Clock::now();
        active_.push_back(transfer);
      }
      posted_.clear();
      idle_rounds = 0;
    }
    if (abort_code_.load() != 0) {
      MPI_Abort(MPI_COMM_WORLD, abort_code_.load());
      _exit(abort_code_.load());
    }
    poll_mailbox();
    if (active_.empty()) {
      if (stopping_.load()) break;
      if (has_mailbox_.load(std::memory_order_relaxed)) {
        news_.wait_at_most(seen + 1,
                           Clock::now() - mail_moved_ < kBusyFor ? kBusyMail : kQuietMail);
      } else {
        news_.wait_for(seen + 1, kNoSpin);
      }
    } else if (advance_all()) {
      idle_rounds = 0;
    } else {
      back_off(idle_rounds++, seen);
    }
  }
  finish_();
}

/// True if any transfer moved.
bool ProgressThread::advance_all() {
  bool moved = false;
  for (std::size_t i = 0; i < active_.size();) {
    Transfer& transfer = *active_[i];
    try {
      const Advance advance = transfer.advance();
      if (advance == Advance::kDone) {
        complete(i, nullptr);
        moved = true;
        continue;
      }
      if (advance == Advance::kMoved) {
        transfer.last_move_ = Clock::now();
        moved = true;
      }
    } catch (...) {
      complete(i, std::current_exception());
      moved = true;
      continue;
    }
    ++i;
  }
  return moved;
}

void ProgressThread::complete(std::size_t index, std::exception_ptr error) {
  Transfer& transfer = *active_[index];
  active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(index));
  if (error) transfer.note_failure();
  transfer.error_ = std::move(error);
  // The last access: whoever waits may reuse the transfer at once.
  transfer.done_.advance_to(transfer.posts_);
}

void ProgressThread::check_timeouts() {
  const std::chrono::duration<double> timeout{timeout_.load(std::memory_order_relaxed)};
  if (timeout <= timeout.zero()) return;
  const auto now = Clock::now();
  for (std::size_t i = 0; i < active_.size();) {
    if (now - active_[i]->last_move_ <= timeout) {
      ++i;
      continue;
    }
    complete(i, std::make_exception_ptr(Error(
                    ExitCode::kTimeout,
                    fmt::format("no progress for {} s in {}; a peer hangs, has failed, or made "
                                "other calls: look at the last lines of the other ranks' logs",
                                timeout.count(), active_[i]->description()))));
  }
}

/// Waits a little for a peer. Shared memory and networks answer within microseconds where the peer
/// is there; after that it is computing, and this thread should leave the core alone.
void ProgressThread::back_off(int idle_rounds, std::uint32_t seen) {
  constexpr int kYields = 16;
  if (may_yield_.load(std::memory_order_relaxed) && idle_rounds < kYields) {
    sched_yield();
    return;
  }
  check_timeouts();
  const microseconds sleep = std::min(microseconds{10} * (idle_rounds + 1), microseconds{100});
  news_.wait_at_most(seen + 1, sleep);
}

}  // namespace ingot::mpi
