// The progress thread with transfers that are not MPI's, so that ThreadSanitizer sees all of it.
#include "collectives/mpi/progress_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <future>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "ops/base/error.hpp"

namespace ingot::mpi {
namespace {

/// Moves this many times, then is done, or fails.
class Countdown final : public Transfer {
 public:
  explicit Countdown(int moves, bool fails = false) : moves_(moves), fails_(fails) {}
  Advance advance() override {
    if (left_ == 0) left_ = moves_;
    if (--left_ > 0) return left_ % 2 == 0 ? Advance::kIdle : Advance::kMoved;
    if (fails_) fail(ExitCode::kInternal, "counted down");
    ++rounds_;
    return Advance::kDone;
  }
  std::string description() const override { return "a countdown"; }
  /// Written by the progress thread, read after wait().
  int rounds() const { return rounds_; }

 private:
  int moves_;
  bool fails_;
  int left_ = 0;
  int rounds_ = 0;
};

class Stuck final : public Transfer {
 public:
  Advance advance() override { return released_.load() ? Advance::kDone : Advance::kIdle; }
  std::string description() const override { return "a peer that hangs"; }
  void release() { released_.store(true); }

 private:
  std::atomic<bool> released_{false};
};

class CountingMailbox final : public Mailbox {
 public:
  bool poll() override {
    ++polls_;
    return false;
  }
  int polls() const { return polls_.load(); }

 private:
  std::atomic<int> polls_{0};
};

ProgressThread make(double timeout = 0) {
  return ProgressThread([] {}, [] {}, std::chrono::duration<double>(timeout));
}

/// Fails at once, and knows that it did.
class Failing final : public Transfer {
 public:
  Advance advance() override { fail(ExitCode::kTimeout, "no peer"); }
  std::string description() const override { return "a failure"; }
  void note_failure() override { noted_.store(true); }
  bool noted() const { return noted_.load(); }

 private:
  std::atomic<bool> noted_{false};
};

TEST(ProgressThread, TellsOfAFailureBeforeWhoeverWaitsCanUnwind) {
  ProgressThread progress = make();
  Failing transfer;
  std::promise<ExitCode> told;
  std::promise<void> go_on;
  progress.set_failed([&](const Error& error) {
    EXPECT_TRUE(transfer.noted());
    told.set_value(error.code());
    go_on.get_future().wait();
  });
  std::atomic<bool> unwound{false};
  std::thread waiter([&] {
    progress.post(transfer);
    EXPECT_THROW(progress.wait(transfer), Error);
    unwound.store(true);
  });
  EXPECT_EQ(told.get_future().get(), ExitCode::kTimeout);
  EXPECT_FALSE(unwound.load());
  go_on.set_value();
  waiter.join();
}

TEST(ProgressThread, TellsOfWhatIsNoErrorOfIngotsToo) {
  class OutOfMemory final : public Transfer {
   public:
    Advance advance() override { throw std::bad_alloc(); }
    std::string description() const override { return "a failure"; }
  } transfer;
  ProgressThread progress = make();
  ExitCode told = ExitCode::kDone;
  progress.set_failed([&](const Error& error) { told = error.code(); });
  progress.post(transfer);
  EXPECT_THROW(progress.wait(transfer), std::bad_alloc);
  EXPECT_EQ(told, ExitCode::kInternal);
}

TEST(ProgressThread, CompletesTransfersOfSeveralThreads) {
  ProgressThread progress = make();
  std::deque<Countdown> transfers;
  for (int i = 0; i < 4; ++i) transfers.emplace_back(3 + i);
  std::vector<std::thread> threads;
  for (Countdown& transfer : transfers) {
    threads.emplace_back([&] {
      for (int round = 1; round <= 50; ++round) {
        progress.post(transfer);
        progress.wait(transfer);
        EXPECT_EQ(transfer.rounds(), round);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(ProgressThread, HandsOnWhatATransferThrows) {
  ProgressThread progress = make();
  Countdown transfer(2, true);
  for (int round = 0; round < 2; ++round) {
    progress.post(transfer);
    EXPECT_THROW(progress.wait(transfer), Error);
  }
}

TEST(ProgressThread, GivesUpATransferThatDoesNotMove) {
  ProgressThread progress = make(0.05);
  Stuck transfer;
  progress.post(transfer);
  try {
    progress.wait(transfer);
    FAIL() << "a timeout was expected";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTimeout);
    EXPECT_NE(std::string(error.what()).find("a peer that hangs"), std::string::npos);
  }
}

TEST(ProgressThread, WaitsForEverOnceTheTimeoutIsTakenAway) {
  ProgressThread progress = make(0.05);
  progress.set_timeout(std::chrono::duration<double>(0));
  Stuck transfer;
  CountingMailbox mailbox;
  progress.post(transfer);
  progress.set_mailbox(&mailbox);
  // Long enough that the old timeout is over: looks come at least 20 milliseconds apart.
  while (mailbox.polls() < 6) std::this_thread::yield();
  transfer.release();
  progress.wait(transfer);
  progress.set_mailbox(nullptr);
}

TEST(ProgressThread, LooksIntoTheMailboxWhetherOrNotTransfersAreThere) {
  ProgressThread progress = make();
  CountingMailbox mailbox;
  progress.set_mailbox(&mailbox);
  while (mailbox.polls() < 2) std::this_thread::yield();
  Stuck transfer;
  progress.post(transfer);
  const int before = mailbox.polls();
  while (mailbox.polls() < before + 2) std::this_thread::yield();
  progress.set_mailbox(nullptr);
  const int after = mailbox.polls();
  progress.nudge();
  transfer.release();
  progress.wait(transfer);
  EXPECT_EQ(mailbox.polls(), after);
}

}  // namespace
}  // namespace ingot::mpi
