// What the reports of all ranks are taken to mean.
#include "collectives/watchdog_verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingot {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

FlightCall bucket(std::uint64_t sequence, int index, std::int64_t count = 4096) {
  FlightCall call;
  call.sequence = sequence;
  call.kind = CollectiveKind::kAllReduce;
  call.type = DType::kF32;
  call.count = count;
  call.label = "bucket " + std::to_string(index);
  return call;
}

FlightCall finished(FlightCall call) {
  call.starts = call.finishes = 1;
  call.started = 990;
  call.finished = 991;
  return call;
}

FlightCall started(FlightCall call) {
  call.starts = 1;
  call.started = 995;
  return call;
}

/// A rank of host "node" with these calls in communicator "all".
PeerState rank_with(int rank, int ranks, std::vector<FlightCall> calls) {
  PeerState state{"node", 100 + rank, false, FlightReport{}};
  state.report->rank = rank;
  state.report->ranks = ranks;
  state.report->step = 41;
  state.report->activity = "training";
  state.report->written = 1000;
  state.report->groups = {{"all", ranks, std::move(calls)}};
  return state;
}

PeerState silent(int rank) {
  return {"node", 100 + rank, false, std::nullopt};
}

PeerState gone(int rank) {
  return {"node", 100 + rank, true, std::nullopt};
}

Trouble hung(FlightCall call) {
  return {.kind = Trouble::Kind::kHung, .group = "all", .call = std::move(call), .seconds = 5};
}

TEST(Verdict, NamesTheCollectiveAndWhoArrivedAndWhoDoesNotAnswer) {
  const auto call = started(bucket(118, 3));
  const Verdict verdict = judge(
      hung(call),
      {rank_with(0, 4, {call}), rank_with(1, 4, {call}), silent(2), rank_with(3, 4, {call})}, 0);
  EXPECT_EQ(verdict.code, ExitCode::kTimeout);
  EXPECT_EQ(verdict.message,
            "no progress for 5 s in collective 118, all_reduce of 4096 f32 (sum), bucket 3 (16384 "
            "bytes)\n"
            "  rank 2 (node, pid 102) does not answer: it is stopped, or its machine cannot be "
            "reached\n"
            "  arrived: ranks 0, 1, 3");
}

TEST(Verdict, SaysOfARankThatDidNotCallWhereItIsAndWhatItDidLast) {
  const auto call = started(bucket(118, 3));
  const Verdict verdict =
      judge(hung(call), {rank_with(0, 2, {call}), rank_with(1, 2, {finished(bucket(117, 2))})}, 0);
  EXPECT_THAT(
      verdict.message,
      HasSubstr("rank 1 (node, pid 101) has not called it: it is in step 41 (training); the "
                "last it completed is 117, all_reduce of 4096 f32 (sum), bucket 2, 9.0 s "
                "ago"));
  EXPECT_THAT(verdict.message, HasSubstr("arrived: rank 0"));
}

TEST(Verdict, TellsARankWhoseStreamHasNotComeToTheCollective) {
  const auto call = started(bucket(118, 3));
  const Verdict verdict =
      judge(hung(call), {rank_with(0, 2, {call}), rank_with(1, 2, {bucket(118, 3)})}, 0);
  EXPECT_THAT(verdict.message, HasSubstr("rank 1 (node, pid 101) has enqueued it, but its stream"));
}

TEST(Verdict, NamesThoseThatGotThroughACollectiveInWhichOthersHang) {
  const auto call = started(bucket(118, 3));
  const auto through = finished(bucket(118, 3));
  const Verdict verdict = judge(hung(call),
                                {rank_with(0, 4, {call}), rank_with(1, 4, {through}),
                                 rank_with(2, 4, {call}), rank_with(3, 4, {through})},
                                0);
  EXPECT_THAT(verdict.message, HasSubstr("arrived: ranks 0-3\n  done with it: ranks 1, 3; not "
                                         "ranks 0, 2"));
}

TEST(Verdict, SaysThatACollectiveHangsInsideWhereAllCameAndNoneIsDone) {
  auto mine = started(bucket(3, 3));
  mine.starts = 7;  // the seventh replay of a recorded call
  mine.finishes = 6;
  const std::vector<PeerState> both = {rank_with(0, 2, {mine}), rank_with(1, 2, {mine})};
  EXPECT_THAT(judge(hung(mine), both, 0).message,
              HasSubstr("arrived: ranks 0, 1\n  none of them is done with it: it hangs inside"));
  // Where a rank is missing, that explains it.
  const std::vector<PeerState> one = {rank_with(0, 2, {mine}), silent(1)};
  EXPECT_THAT(judge(hung(mine), one, 0).message, Not(HasSubstr("hangs inside")));
}

TEST(Verdict, TellsReplaysOfARecordedCollectiveApart) {
  auto mine = started(bucket(3, 3));
  mine.starts = 7;
  mine.finishes = 6;
  auto theirs = mine;
  theirs.starts = 6;
  const Verdict verdict =
      judge(hung(mine), {rank_with(0, 2, {mine}), rank_with(1, 2, {theirs})}, 0);
  EXPECT_THAT(verdict.message, HasSubstr("rank 1 (node, pid 101) has enqueued it, but its stream"));
  EXPECT_THAT(verdict.message, HasSubstr("arrived: rank 0"));
}

TEST(Verdict, FindsTheFirstCallThatARankSkipped) {
  // Rank 1 left out bucket 1: what follows is shifted by one.
  const auto last = started(bucket(12, 2));
  const Verdict verdict =
      judge(hung(last),
            {rank_with(0, 3, {finished(bucket(10, 0)), finished(bucket(11, 1)), last}),
             rank_with(1, 3, {finished(bucket(10, 0)), finished(bucket(11, 2))}),
             rank_with(2, 3, {finished(bucket(10, 0)), finished(bucket(11, 1)), last})},
            0);
  EXPECT_EQ(verdict.code, ExitCode::kTimeout);
  EXPECT_THAT(
      verdict.message,
      HasSubstr("the ranks do not call the same: as number 11, rank 1 (node) calls all_reduce of "
                "4096 f32 (sum), bucket 2; ranks 0, 2 call all_reduce of 4096 f32 (sum), "
                "bucket 1"));
}

TEST(Verdict, ExplainsAFailedCollectiveByACallOfAnotherSize) {
  auto call = started(bucket(118, 3));
  call.failed = true;
  const Trouble trouble{.kind = Trouble::Kind::kFailed,
                        .group = "all",
                        .call = call,
                        .error = "message truncated",
                        .code = ExitCode::kInternal};
  const Verdict verdict = judge(
      trouble, {rank_with(0, 2, {call}), rank_with(1, 2, {started(bucket(118, 3, 5000))})}, 0);
  EXPECT_EQ(verdict.code, ExitCode::kTimeout);
  EXPECT_THAT(verdict.message, HasSubstr("message truncated"));
  EXPECT_THAT(verdict.message,
              HasSubstr("rank 1 (node) calls all_reduce of 5000 f32 (sum), bucket 3"));
}

TEST(Verdict, LeavesAnErrorThatTheRecordsDoNotExplainItsCode) {
  auto call = started(bucket(118, 3));
  call.failed = true;
  const Trouble trouble{.kind = Trouble::Kind::kFailed,
                        .group = "all",
                        .call = call,
                        .error = "no memory",
                        .code = ExitCode::kInternal};
  const Verdict verdict = judge(trouble, {rank_with(0, 2, {call}), rank_with(1, 2, {call})}, 0);
  EXPECT_EQ(verdict.code, ExitCode::kInternal);
}

TEST(Verdict, NamesALostRankAndTheCollectiveTheOthersWereIn) {
  const auto call = started(bucket(118, 3));
  Trouble trouble = hung(call);
  trouble.kind = Trouble::Kind::kLost;
  const Verdict verdict =
      judge(trouble, {rank_with(0, 3, {call}), gone(1), rank_with(2, 3, {call})}, 0);
  EXPECT_EQ(
      verdict.message,
      "lost rank 1 (node, pid 101), whose process has ended, in collective 118, all_reduce of "
      "4096 f32 (sum), bucket 3 (16384 bytes)\n"
      "  arrived: ranks 0, 2");
}

TEST(Verdict, NamesALostRankWhereNoCollectiveWasInFlight) {
  Trouble trouble;
  trouble.kind = Trouble::Kind::kLost;
  const Verdict verdict = judge(trouble, {rank_with(0, 2, {}), gone(1)}, 0);
  EXPECT_THAT(verdict.message, HasSubstr("lost rank 1 (node, pid 101), whose process has ended"));
  EXPECT_THAT(verdict.message, HasSubstr("no collective was in flight"));
  EXPECT_THAT(verdict.message, Not(HasSubstr("arrived")));
}

TEST(Verdict, PassesOverRanksOutsideAPart) {
  const auto call = started(bucket(5, 0));
  PeerState first = rank_with(0, 4, {});
  PeerState second = rank_with(1, 4, {});
  first.report->groups.push_back({"all/0:0", 2, {call}});
  second.report->groups.push_back({"all/0:0", 2, {}});
  PeerState outside = rank_with(2, 4, {});
  outside.report->groups.push_back({"all/0:1", 2, {call}});
  Trouble trouble = hung(call);
  trouble.group = "all/0:0";
  const Verdict verdict = judge(trouble, {first, second, outside, outside}, 0);
  EXPECT_THAT(verdict.message, HasSubstr("among the 2 ranks of communicator all/0:0"));
  EXPECT_THAT(verdict.message, HasSubstr("rank 1 (node, pid 101) has not called it"));
  EXPECT_THAT(verdict.message, Not(HasSubstr("rank 2")));
}

TEST(Verdict, NamesRanksShortly) {
  EXPECT_EQ(name_ranks({3}), "rank 3");
  EXPECT_EQ(name_ranks({0, 1}), "ranks 0, 1");
  EXPECT_EQ(name_ranks({0, 1, 2, 5, 7, 8}), "ranks 0-2, 5, 7, 8");
}

}  // namespace
}  // namespace ingot
