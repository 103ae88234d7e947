// The flight record: what it says of calls, while they run and afterwards, and the file it becomes.
#include "collectives/flight_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "collectives/flight_log.hpp"
#include "ops/base/error.hpp"

namespace ingot {
namespace {

CollectiveCall call_of(std::uint64_t sequence, std::int64_t count = 10) {
  return {.kind = CollectiveKind::kAllReduce,
          .label = {"bucket", 3},
          .count = count,
          .type = DType::kF32,
          .operation = ReduceOperation::kMax,
          .sequence = sequence};
}

TEST(FlightRecord, FollowsACallFromItsEnqueuingToItsEnd) {
  FlightRecord record;
  FlightEntry& entry = record.add(call_of(7), false);
  const auto now = [&] { return record.snapshot().at(0); };
  EXPECT_EQ(now().sequence, 7U);
  EXPECT_EQ(describe(now()), "all_reduce of 10 f32 (max), bucket 3");
  EXPECT_EQ(now().bytes(), 40);
  EXPECT_FALSE(now().in_flight());
  EXPECT_GT(now().enqueued, 0);
  EXPECT_EQ(now().started, 0);
  entry.start();
  EXPECT_TRUE(now().in_flight());
  EXPECT_GE(now().started, now().enqueued);
  EXPECT_EQ(now().last_move(), now().started);
  entry.move();
  EXPECT_GE(now().last_move(), now().started);
  EXPECT_EQ(now().last_move(), now().moved);
  entry.finish();
  EXPECT_FALSE(now().in_flight());
  EXPECT_GE(now().finished, now().moved);
}

TEST(FlightRecord, IsInFlightWhileRanksCompareTheirCalls) {
  FlightRecord record;
  FlightEntry& entry = record.add(call_of(0), false);
  entry.begin_check();
  EXPECT_TRUE(record.snapshot().at(0).in_flight());
  entry.end_check();
  EXPECT_FALSE(record.snapshot().at(0).in_flight());
}

TEST(FlightRecord, CountsTheReplaysOfARecordedCall) {
  FlightRecord record;
  FlightEntry& entry = record.add(call_of(0), true);
  for (std::uint64_t other = 1; other <= 2 * FlightRecord::kKept; ++other) {
    record.add(call_of(other), false);
  }
  entry.start();
  entry.finish();
  entry.start();
  const FlightCall kept = record.snapshot().at(0);
  EXPECT_EQ(kept.sequence, 0U);
  EXPECT_EQ(kept.starts, 2);
  EXPECT_EQ(kept.finishes, 1);
  EXPECT_TRUE(kept.in_flight());
}

TEST(FlightRecord, KeepsTheLastCalls) {
  FlightRecord record;
  for (std::uint64_t i = 0; i < FlightRecord::kKept + 5; ++i) record.add(call_of(i), false);
  const auto calls = record.snapshot();
  ASSERT_EQ(calls.size(), FlightRecord::kKept);
  EXPECT_EQ(calls.front().sequence, 5U);
  EXPECT_EQ(calls.back().sequence, FlightRecord::kKept + 4);
}

// Each call's count is a function of its number, so that a mixture of two calls shows.
TEST(FlightRecord, NeverShowsAMixtureOfTwoCallsToAThreadThatReadsMeanwhile) {
  FlightRecord record;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t i = 0; !stop.load(); ++i) {
      FlightEntry& entry = record.add(call_of(i, static_cast<std::int64_t>(3 * i)), false);
      entry.start();
      entry.finish();
    }
  });
  std::int64_t seen = 0;
  for (int round = 0; round < 200 || seen == 0; ++round) {
    for (const FlightCall& call : record.snapshot()) {
      ASSERT_EQ(call.count, 3 * static_cast<std::int64_t>(call.sequence));
      ASSERT_LE(call.finishes, call.starts);
      ++seen;
    }
  }
  stop.store(true);
  writer.join();
}

TEST(FlightLog, NamesEachCommunicatorOnceAndForgetsThoseThatEnded) {
  FlightLog log;
  FlightRecord first;
  FlightRecord second;
  EXPECT_EQ(log.add(first, "all", 4), "all");
  EXPECT_EQ(log.add(second, "all", 4), "all#2");
  second.add(call_of(0), false);
  log.remove(first);
  const FlightReport report = log.report();
  ASSERT_EQ(report.groups.size(), 1U);
  EXPECT_EQ(report.groups[0].name, "all#2");
  EXPECT_EQ(report.groups[0].size, 4);
  EXPECT_EQ(report.groups[0].calls.size(), 1U);
}

TEST(FlightReport, ReadsBackWhatItIsWrittenAs) {
  FlightLog log;
  FlightRecord record;
  log.set_rank(3, 8, "node7");
  log.set_step(41);
  log.set_activity("training");
  log.add(record, "all", 8);
  record.add(call_of(0), false).start();
  record.add({.kind = CollectiveKind::kBroadcast, .type = DType::kBf16, .root = 2, .sequence = 1},
             true);
  record.add({.kind = CollectiveKind::kReduceScatter, .type = DType::kU32, .sequence = 2}, false)
      .fail();
  record.add({.kind = CollectiveKind::kBarrier, .sequence = 3}, false).begin_check();
  const FlightReport report = log.report();
  EXPECT_EQ(report.rank, 3);
  EXPECT_EQ(report.step, 41);
  // Unix time: later than 2020 and earlier than 2100.
  EXPECT_GT(report.groups[0].calls[0].started, 1.57e9);
  EXPECT_LT(report.groups[0].calls[0].started, 4.1e9);
  EXPECT_EQ(parse_flight_report(to_json(report)), report);
}

TEST(FlightReport, KeepsTheLastCallsAndThoseInFlight) {
  FlightRecord record;
  record.add(call_of(0), false).start();
  for (std::uint64_t i = 1; i < 10; ++i) record.add(call_of(i), false);
  FlightReport report;
  report.groups = {{"all", 2, record.snapshot()}};
  report.keep_last(3);
  std::vector<std::uint64_t> kept;
  for (const FlightCall& call : report.groups[0].calls) kept.push_back(call.sequence);
  EXPECT_THAT(kept, ::testing::ElementsAre(0, 7, 8, 9));
}

TEST(FlightReport, RefusesWhatIsNoReport) {
  for (const char* text : {"", "[]", "{\"rank\": \"three\"}", "{\"rank\": 1}"}) {
    EXPECT_THROW(parse_flight_report(text), Error) << text;
  }
}

}  // namespace
}  // namespace ingot
