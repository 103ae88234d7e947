// Plans of sharded engines for ranks that do not exist.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/runtime/train/engine_fixture.hpp"

namespace ingot {
namespace {

class ShardedPlan : public ::testing::TestWithParam<const char*> {
 protected:
  ShardedPlan() : device_(test::make_device(cpu_device_, 1)) {
    test::register_test_ops(registry_);
    config_ = test::tiny_gpt(false);
    config_.model.layers = 6;
    config_.model.width = 64;
    config_.parallel.bucket = 1 << 12;  // a bucket per layer
    config_.train.precision = GetParam();
  }
  EnginePlan plan(const char* shard, const char* reduction = "fast") {
    config_.parallel.shard = shard;
    config_.parallel.reduction = reduction;
    const ParallelPlan parallel = plan_parallel(config_, {.ranks = ranks_, .rank = ranks_ - 1}, 1);
    return plan_engine({config_, {.vocabulary = 50}}, registry_, device_, parallel);
  }
  std::map<std::string, std::int64_t> table(const EnginePlan& plan) const {
    std::map<std::string, std::int64_t> result;
    for (const auto& [name, bytes] : memory_table(plan, {config_, {.vocabulary = 50}})) {
      result[name] = bytes;
    }
    return result;
  }

  int ranks_ = 8;
  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_;
  Registry registry_;
  Config config_;
};

TEST_P(ShardedPlan, HoldsAPartOfEverythingAndTwoLayers) {
  for (const bool tied : {false, true}) {
    for (const int ranks : {2, 8}) {
      SCOPED_TRACE(fmt::format("tied {}, {} ranks", tied, ranks));
      config_.model.tied = tied;
      ranks_ = ranks;
      const EnginePlan whole = plan("none");
      const EnginePlan sharded = plan("parameters");
      auto before = table(whole);
      auto after = table(sharded);
      const std::int64_t part = sharded.layout.elements / ranks * 4;
      for (const char* name :
           {store::kMaster, store::kGradients, store::kMoment1, store::kMoment2}) {
        EXPECT_EQ(after.at(name), part) << name;
        EXPECT_GE(before.at(name), whole.layout.elements * 4) << name;
      }
      if (sharded.type == DType::kBf16) {
        EXPECT_EQ(after.at(store::kWeights), part / 2);
      }
      std::int64_t layer = 0;  // elements of the largest
      for (const Bucket& bucket : sharded.layout.buckets) layer = std::max(layer, bucket.count);
      // Two layers' weights, and their gradients before they are reduced.
      std::int64_t layers = 2 * layer * (size_of(sharded.type) + size_of(DType::kF32));
      // A tied embedding's gradient, which the first and the last op of backward write, stays too.
      if (tied) layers += sharded.layout.buckets.back().count * size_of(DType::kF32);
      EXPECT_LE(after.at("arena"), before.at("arena") + layers);
    }
  }
}

TEST_P(ShardedPlan, GathersWeightsForTheForwardPassAndAgainForBackward) {
  const EnginePlan sharded = plan("parameters");
  std::map<int, int> gathers;
  for (const Instruction& instruction : sharded.micros.back().program.instructions) {
    if (instruction.kind == InstructionKind::kAllGather) ++gathers[instruction.bucket];
  }
  EXPECT_EQ(gathers.size(), sharded.layout.buckets.size());
  for (const auto& [bucket, times] : gathers) EXPECT_LE(times, 2) << bucket;
  for (const Instruction& instruction : sharded.evaluate->program.instructions) {
    EXPECT_NE(instruction.kind, InstructionKind::kReduceScatter);
  }
}

TEST_P(ShardedPlan, KeepsPartialGradientsForOrderedSums) {
  config_.parallel.reduction = "ordered";
  config_.parallel.shard = "none";
  const ParallelPlan parallel = plan_parallel(config_, {.ranks = 2, .rank = 1}, 6);
  const EnginePlan planned =
      plan_engine({config_, {.vocabulary = 50}, 6}, registry_, device_, parallel);
  EXPECT_EQ(table(planned).at(store::kGradients), parallel.slots * planned.layout.elements * 4);
  EXPECT_GT(parallel.slots, 1);
  EXPECT_EQ(planned.micro_of_batch.size(), 6U);
  EXPECT_LE(planned.micros.size(), 6U);
}

INSTANTIATE_TEST_SUITE_P(Precisions, ShardedPlan, ::testing::Values("f32", "bf16"),
                         [](const auto& precision) { return precision.param; });

}  // namespace
}  // namespace ingot
