// Learning rates at the points where schedules change.
#include "runtime/train/schedule.hpp"

#include <gtest/gtest.h>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

ScheduleConfig schedule(const std::string& kind) {
  ScheduleConfig config;
  config.kind = kind;
  config.warmup = 10;
  config.floor = 0.1;
  return config;
}

TEST(Schedule, WarmsUpLinearlyToThePeak) {
  for (const char* kind : {"cosine", "linear", "wsd", "constant"}) {
    EXPECT_DOUBLE_EQ(learning_rate(schedule(kind), 2.0, 1, 110), 0.2) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(schedule(kind), 2.0, 5, 110), 1.0) << kind;
    EXPECT_DOUBLE_EQ(learning_rate(schedule(kind), 2.0, 9, 110), 1.8) << kind;
    EXPECT_EQ(learning_rate(schedule(kind), 2.0, 10, 110), 2.0) << kind;
  }
}

TEST(Schedule, CosineFallsFromWarmUpToTheFloor) {
  const ScheduleConfig cosine = schedule("cosine");
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2.0, 60, 110), 2.0 * 0.55);
  EXPECT_NEAR(learning_rate(cosine, 2.0, 35, 110), 2.0 * (0.1 + 0.9 * 0.853553390593), 1e-11);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2.0, 110, 110), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2.0, 5000, 110), 0.2);
}

TEST(Schedule, LinearFallsEvenly) {
  const ScheduleConfig linear = schedule("linear");
  EXPECT_DOUBLE_EQ(learning_rate(linear, 2.0, 35, 110), 2.0 * (0.1 + 0.9 * 0.75));
  EXPECT_DOUBLE_EQ(learning_rate(linear, 2.0, 60, 110), 2.0 * 0.55);
  EXPECT_DOUBLE_EQ(learning_rate(linear, 2.0, 110, 110), 0.2);
}

TEST(Schedule, WsdHoldsThePeakAndFallsAtTheEnd) {
  ScheduleConfig wsd = schedule("wsd");
  wsd.decay_fraction = 0.2;
  EXPECT_EQ(learning_rate(wsd, 2.0, 11, 100), 2.0);
  EXPECT_EQ(learning_rate(wsd, 2.0, 80, 100), 2.0);
  EXPECT_LT(learning_rate(wsd, 2.0, 81, 100), 2.0);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 2.0, 90, 100), 2.0 * 0.55);
  EXPECT_DOUBLE_EQ(learning_rate(wsd, 2.0, 100, 100), 0.2);
  wsd.decay_fraction = 0;
  EXPECT_EQ(learning_rate(wsd, 2.0, 99, 100), 2.0);
}

TEST(Schedule, ConstantNeverFallsAndNeedsNoLength) {
  EXPECT_EQ(learning_rate(schedule("constant"), 2.0, 1000000, 0), 2.0);
}

TEST(Schedule, WithoutWarmUpStartsNearThePeak) {
  ScheduleConfig linear = schedule("linear");
  linear.warmup = 0;
  EXPECT_DOUBLE_EQ(learning_rate(linear, 1.0, 1, 100), 0.1 + 0.9 * 0.99);
  linear.kind = "constant";
  EXPECT_EQ(learning_rate(linear, 1.0, 1, 100), 1.0);
}

TEST(Schedule, TakesItsOwnLengthBeforeTheRuns) {
  ScheduleConfig linear = schedule("linear");
  linear.steps = 60;
  EXPECT_DOUBLE_EQ(learning_rate(linear, 2.0, 60, 110), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(linear, 2.0, 35, 110), 2.0 * 0.55);
}

TEST(Schedule, RefusesAnUnknownLengthOrKind) {
  EXPECT_THROW(learning_rate(schedule("cosine"), 1.0, 20, 0), Error);
  EXPECT_THROW(learning_rate(schedule("stairs"), 1.0, 20, 100), Error);
}

}  // namespace
}  // namespace ingot
