#include "runtime/train/step_plan.hpp"

#include <gtest/gtest.h>

namespace ingot {
namespace {

Config with_batch(std::int64_t micro, std::int64_t global) {
  Config config;
  config.batch.micro = micro;
  config.batch.global = global;
  return config;
}

TEST(StepPlan, TakesOneMicroBatchPerRankWhereNoGlobalBatchIsSet) {
  Config config = with_batch(4, 0);
  config.train.steps = 10;
  const StepPlan plan = plan_steps(config, 3, 1000, 1);
  EXPECT_EQ(plan.global_batch, 12);
  EXPECT_EQ(plan.accumulation, 1);
}

TEST(StepPlan, AccumulatesUpToTheGlobalBatch) {
  Config config = with_batch(4, 32);
  config.train.steps = 10;
  EXPECT_EQ(plan_steps(config, 2, 1000, 1).accumulation, 4);
}

TEST(StepPlan, EndsAtTheFirstLimitThatIsReached) {
  Config config = with_batch(4, 8);
  config.train.steps = 100;
  config.train.tokens = 8 * 16 * 30 + 1;  // a little more than 30 steps of 16 tokens per sample
  EXPECT_EQ(plan_steps(config, 1, 1000, 16).steps, 31);
  config.train.epochs = 0.1;  // 100 samples: 12.5 steps
  EXPECT_EQ(plan_steps(config, 1, 1000, 16).steps, 13);
}

TEST(StepPlan, HasNoLastStepWhereOnlyTheWallTimeEndsTheRun) {
  Config config = with_batch(4, 8);
  config.train.wall_time = 60;
  EXPECT_EQ(plan_steps(config, 1, 1000, 16).steps, 0);
}

}  // namespace
}  // namespace ingot
