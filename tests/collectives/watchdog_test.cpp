// The watchdogs of several ranks in one process, over a channel of this process: who speaks, what
// the others do, and what is left on the disk. No MPI, so ThreadSanitizer sees all of it.
#include "collectives/watchdog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace ingot {
namespace {

using ::testing::HasSubstr;

constexpr double kTimeout = 0.2;

/// Ranks as threads; a letter is delivered by the thread that sends it. A deaf rank gets none.
class Office {
 public:
  class Channel final : public StatusChannel {
   public:
    Channel(Office& office, int rank) : office_(office), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(office_.channels_.size()); }
    void send(int to, std::string text) override { office_.deliver(rank_, to, std::move(text)); }
    void set_receiver(Receiver receiver) override {
      const std::scoped_lock lock(mutex_);
      receiver_ = std::move(receiver);
    }

   private:
    friend class Office;
    Office& office_;
    int rank_;
    std::mutex mutex_;
    Receiver receiver_;
  };

  explicit Office(int ranks) {
    for (int rank = 0; rank < ranks; ++rank) {
      channels_.push_back(std::make_unique<Channel>(*this, rank));
    }
  }
  Channel& channel(int rank) { return *channels_.at(static_cast<std::size_t>(rank)); }
  void make_deaf(int rank) { deaf_.store(rank); }

 private:
  void deliver(int from, int to, std::string text) {
    if (to == deaf_.load() || from == deaf_.load()) return;
    Channel& channel = this->channel(to);
    const std::scoped_lock lock(channel.mutex_);
    if (channel.receiver_) channel.receiver_(from, std::move(text));
  }

  std::vector<std::unique_ptr<Channel>> channels_;
  std::atomic<int> deaf_{-1};
};

/// What the watchdogs of all ranks said and did.
struct Events {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<int, std::string>> said;
  std::map<int, std::string> noted;
  std::map<int, int> ended;  ///< rank -> exit code

  void wait_for_ends(std::size_t ranks) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended.size() == ranks; });
  }
};

class WatchdogTest : public ::testing::Test {
 protected:
  struct Rank {
    FlightLog log;
    FlightRecord record;
    std::unique_ptr<Watchdog> watchdog;
  };

  WatchdogTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("ingot_watchdog_" + std::to_string(getpid()))) {}
  ~WatchdogTest() override {
    ranks_.clear();
    std::filesystem::remove_all(folder_);
  }

  /// `pids`: of ranks that are processes of their own; 0: a thread of this one.
  void start(int ranks, double timeout, std::vector<pid_t> pids = {}) {
    pids.resize(static_cast<std::size_t>(ranks));
    office_ = std::make_unique<Office>(ranks);
    std::vector<ProcessIdentity> processes;
    for (const pid_t pid : pids) {
      // Those of this process lie in a namespace of which nothing is known.
      processes.push_back(ProcessIdentity::own("node"));
      processes.back().pid = pid;
      if (pid == 0) processes.back().pid_namespace = 0;
    }
    for (int rank = 0; rank < ranks; ++rank) {
      std::vector<ProcessIdentity> seen = processes;
      seen[static_cast<std::size_t>(rank)] = ProcessIdentity::own("node");
      auto state = std::make_unique<Rank>();
      state->log.set_rank(rank, ranks, "node");
      state->log.set_step(7);
      state->log.add(state->record, "all", ranks);
      if (pids[static_cast<std::size_t>(rank)] == 0) {
        state->watchdog = std::make_unique<Watchdog>(state->log, office_->channel(rank),
                                                     PeerProcesses(std::move(seen), rank), timeout,
                                                     actions(rank), times_);
        state->watchdog->write_records_to(folder_, FileAccess::kShared);
      }
      ranks_.push_back(std::move(state));
    }
  }

  WatchdogActions actions(int rank) {
    const auto end = [this, rank](int code) {
      const std::scoped_lock lock(events_.mutex);
      events_.ended[rank] = code;
      events_.changed.notify_all();
    };
    return {.say =
                [this, rank](const std::string& text) {
                  const std::scoped_lock lock(events_.mutex);
                  events_.said.emplace_back(rank, text);
                },
            .note =
                [this, rank](const std::string& text) {
                  const std::scoped_lock lock(events_.mutex);
                  events_.noted[rank] = text;
                  events_.changed.notify_all();
                },
            .end_job = end,
            .leave = end,
            .begin_deadline = [](int) {}};
  }

  FlightEntry& call(int rank, std::uint64_t sequence, std::int64_t count = 16) {
    return ranks_.at(static_cast<std::size_t>(rank))
        ->record.add({.kind = CollectiveKind::kAllReduce,
                      .label = {"bucket", static_cast<std::int32_t>(sequence)},
                      .count = count,
                      .type = DType::kF32,
                      .sequence = sequence},
                     false);
  }
  Watchdog& watchdog(int rank) { return *ranks_.at(static_cast<std::size_t>(rank))->watchdog; }

  FlightReport written(int rank) const {
    std::ifstream file(folder_ / ("rank-0000" + std::to_string(rank) + ".json"));
    std::stringstream text;
    text << file.rdbuf();
    return parse_flight_report(text.str());
  }

  /// Long, for machines that are busy: nobody waits for what comes earlier. Shorter where a rank is
  /// deaf, for whose answer the others wait in vain.
  WatchdogTimes times_{

      .answer = 20, .quick_answer = 20, .lost = 20, .message = 20, .written = 20, .ended = 0.2};
  std::filesystem::path folder_;
  std::unique_ptr<Office> office_;
  Events events_;
  std::vector<std::unique_ptr<Rank>> ranks_;
};

TEST_F(WatchdogTest, EndsEveryRankWithOneMessageWhenOneDoesNotArrive) {
  start(4, kTimeout);
  for (const int rank : {1, 2, 3}) call(rank, 0).start();
  events_.wait_for_ends(4);
  for (const auto& [rank, code] : events_.ended) EXPECT_EQ(code, 75) << rank;
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_NE(events_.said[0].first, 0) << "a rank that has not arrived knows nothing";
  EXPECT_THAT(events_.said[0].second, HasSubstr("in collective 0, all_reduce of 16 f32 (sum)"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("rank 0 (node, pid 0) has not called it"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("arrived: ranks 1-3"));
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(written(rank).rank, rank);
    EXPECT_EQ(written(rank).step, 7);
    EXPECT_EQ(written(rank).groups.at(0).calls.size(), rank == 0 ? 0U : 1U);
  }
}

TEST_F(WatchdogTest, NamesARankThatDoesNotAnswer) {
  times_.answer = 1;
  start(3, kTimeout);
  office_->make_deaf(1);
  for (const int rank : {0, 2}) call(rank, 0).start();
  events_.wait_for_ends(2);
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second, HasSubstr("rank 1 (node, pid 0) does not answer"));
}

TEST_F(WatchdogTest, LeavesAloneWhatFinishesAndWhatMoves) {
  constexpr double kLong = 1;
  start(2, kLong);
  FlightEntry& slow = call(0, 0);
  slow.start();
  call(1, 0).start();
  ranks_[1]->record.add({.kind = CollectiveKind::kBarrier, .sequence = 1}, false);
  // Moves for longer than the timeout, while the other rank's watchdog is off.
  watchdog(1).set_timeout(0);
  const double end = flight_clock() + 1.5 * kLong;
  while (flight_clock() < end) {
    slow.move();
    std::this_thread::yield();
  }
  slow.finish();
  EXPECT_FALSE(watchdog(0).ending());
  EXPECT_TRUE(events_.said.empty());
}

TEST_F(WatchdogTest, ExplainsAFailedCollective) {
  times_.lost = 0.1;
  start(2, 0);
  FlightEntry& entry = call(0, 0, 16);
  entry.start();
  call(1, 0, 20).start();
  entry.fail();
  watchdog(0).end_with(Error(ExitCode::kInternal, "message truncated"));
  events_.wait_for_ends(2);
  EXPECT_EQ(events_.ended[0], 75);
  EXPECT_EQ(events_.ended[1], 75);
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second, HasSubstr("failed: message truncated"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("rank 1 (node) calls all_reduce of 20 f32"));
}

TEST_F(WatchdogTest, LetsOneOfTheRanksSpeakWhoseTransportsSayThatAPeerDoesNotCome) {
  times_.lost = 0.1;
  start(3, 0);
  for (const int rank : {0, 1, 2}) call(rank, 0, rank == 2 ? 20 : 16).start();
  std::vector<std::thread> mains;
  for (const int rank : {0, 1, 2}) {
    mains.emplace_back(
        [&, rank] { watchdog(rank).end_with(Error(ExitCode::kTimeout, "ranks disagree")); });
  }
  for (std::thread& main : mains) main.join();
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second, HasSubstr("failed: ranks disagree"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("rank 2 (node) calls all_reduce of 20 f32"));
  EXPECT_EQ(events_.ended.size(), 3U);
}

TEST_F(WatchdogTest, LetsOneRankSpeakOfItsOwnErrorAndEndsTheOthersWithItsCode) {
  start(3, 0);
  watchdog(1).end_with(Error(ExitCode::kBadData, "data.h5: token 99 is not below 64"));
  events_.wait_for_ends(3);
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second, HasSubstr("data.h5: token 99"));
  for (const auto& [rank, code] : events_.ended) EXPECT_EQ(code, 65) << rank;
}

/// A process that waits to be killed.
pid_t idle_process() {
  const pid_t pid = fork();
  if (pid == 0) {
    while (true) pause();
  }
  return pid;
}

void kill_process(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

TEST_F(WatchdogTest, NoticesAtOnceThatAProcessOfThisMachineHasEnded) {
  times_.quick_answer = 1;  // half of it passes before a loss is believed
  const pid_t pid = idle_process();
  start(3, 0, {0, 0, pid});
  call(0, 0).start();
  call(1, 0).start();
  kill_process(pid);
  events_.wait_for_ends(2);
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second, HasSubstr("lost rank 2"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("process has ended, in collective 0"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("arrived: ranks 0, 1"));
  EXPECT_EQ(written(1).rank, 1);
}

TEST_F(WatchdogTest, NamesTheLostRankWhereATransportNoticesFirstAndNothingWaits) {
  const pid_t pid = idle_process();
  start(3, 0, {0, 0, pid});
  std::vector<std::thread> mains;
  for (const int rank : {0, 1}) {
    mains.emplace_back([&, rank] {
      watchdog(rank).end_with(Error(ExitCode::kTimeout, "a connection is closed"));
    });
  }
  // Its end is seen while the word of the transport waits for it, or before that word came.
  kill_process(pid);
  for (std::thread& main : mains) main.join();
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second, HasSubstr("lost rank 2"));
  EXPECT_THAT(events_.said[0].second, HasSubstr("process has ended"));
}

void ask_to_end(const Watchdog& watchdog) {
  const std::uint64_t one = 1;
  ASSERT_EQ(write(watchdog.termination_descriptor(), &one, sizeof one), 8);
}

TEST_F(WatchdogTest, TakesATerminationForARequestWhereAllRanksAreThere) {
  start(2, 0);
  call(0, 0).start();  // the peer is on its way
  ask_to_end(watchdog(0));
  {
    std::unique_lock lock(events_.mutex);
    events_.changed.wait(lock, [&] { return events_.noted.contains(0); });
    EXPECT_THAT(events_.noted[0], HasSubstr("saves and stops"));
    EXPECT_TRUE(events_.ended.empty());
  }
  EXPECT_EQ(written(0).groups.at(0).calls.size(), 1U);
}

TEST_F(WatchdogTest, TakesATerminationForALossWhereARankElsewhereDoesNotAnswer) {
  times_.quick_answer = 1;
  start(3, 0);
  office_->make_deaf(1);
  call(0, 0).start();
  call(2, 0).start();
  ask_to_end(watchdog(0));
  ask_to_end(watchdog(2));
  events_.wait_for_ends(2);
  ASSERT_EQ(events_.said.size(), 1U);
  EXPECT_THAT(events_.said[0].second,
              HasSubstr("lost rank 1 (node, pid 0), which does not answer"));
}

TEST_F(WatchdogTest, StopsWithoutAWordAtTheEndOfAJob) {
  start(3, kTimeout);
  for (const int rank : {0, 1, 2}) {
    FlightEntry& entry = call(rank, 0);
    entry.start();
    entry.finish();
  }
  ranks_.clear();
  EXPECT_TRUE(events_.said.empty());
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST(PeerProcesses, SeesOnlyThoseOfItsMachineAndItsNamespace) {
  const pid_t pid = idle_process();
  ProcessIdentity own = ProcessIdentity::own("here");
  ProcessIdentity peer = own;
  peer.pid = pid;
  ProcessIdentity elsewhere = peer;
  elsewhere.host = "there";
  ProcessIdentity contained = peer;
  contained.pid_namespace += 1;
  const PeerProcesses processes({own, peer, elsewhere, contained}, 0);
  EXPECT_FALSE(processes.seen(0));
  EXPECT_TRUE(processes.seen(1));
  EXPECT_FALSE(processes.seen(2));
  EXPECT_FALSE(processes.seen(3));
  EXPECT_FALSE(processes.ended(1));
  kill_process(pid);
  EXPECT_TRUE(processes.ended(1));
  EXPECT_FALSE(processes.ended(2));
}

TEST(ProcessIdentity, ReadsBackItsText) {
  const ProcessIdentity own = ProcessIdentity::own("a host with blanks");
  const ProcessIdentity read = ProcessIdentity::parse(own.text());
  EXPECT_EQ(read.host, own.host);
  EXPECT_EQ(read.pid, getpid());
  EXPECT_EQ(read.pid_namespace, own.pid_namespace);
  EXPECT_THROW(ProcessIdentity::parse("no process"), Error);
}

}  // namespace
}  // namespace ingot
