// What a plan says of a run, against the engine that is then made; and what does not need one.
#include "runtime/train/run_estimate.hpp"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/runtime/train/plan_cases.hpp"

namespace ingot {
namespace {

using testing::AllOf;
using testing::Each;
using testing::Field;
using testing::HasSubstr;

class Plans : public testing::Test {
 protected:
  Plans() : device_(test::make_device(cpu_device_, 2)) { test::register_test_ops(registry_); }

  PlannedRun plan(const test::PlanCase& wanted, RankPlace place = {}) {
    const Config config = test::config_of(wanted, place.ranks);
    return plan_run({config, wanted.data, registry_, device_, place});
  }
  RunEstimate estimate(const test::PlanCase& wanted, RankPlace place = {}) {
    const PlannedRun run = plan(wanted, place);
    return estimate_run(run.plan, run.options);
  }

  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_;
  Registry registry_;
};

std::int64_t sum_of(const std::vector<MemoryUse>& memory) {
  std::int64_t sum = 0;
  for (const MemoryUse& use : memory) sum += use.bytes;
  return sum;
}

std::int64_t bytes_of(const RunEstimate& estimate, MemoryKind kind) {
  const auto found = std::ranges::find(estimate.memory, kind, &MemoryUse::kind);
  return found == estimate.memory.end() ? 0 : found->bytes;
}

TEST_F(Plans, HoldToTheByteWhatEnginesThenHold) {
  for (const test::PlanCase& wanted : test::plan_cases()) {
    SCOPED_TRACE(wanted.name);
    const RunEstimate planned = estimate(wanted);
    test::OneRank rank(wanted.config, wanted.data, wanted.micro_batches, 2);
    EXPECT_EQ(planned.buffers, rank.engine->memory().table());
    EXPECT_EQ(sum_of(planned.memory), planned.bytes()) << "kinds lose no byte";
    if (device_.host_visible()) {
      EXPECT_EQ(planned.bytes(), rank.device.allocated_bytes()) << "there is nothing else";
    }
    EXPECT_EQ(planned.work.total().matrix, rank.engine->matrix_flops_per_step());
  }
}

TEST_F(Plans, SayTheSameForEveryRank) {
  for (const int ranks : {2, 3, 4}) {
    for (test::PlanCase wanted : test::plan_cases_of_ranks(ranks)) {
      SCOPED_TRACE(fmt::format("{} of {} ranks", wanted.name, ranks));
      const MemoryTable first = estimate(wanted, {ranks, 0, wanted.node_ranks}).buffers;
      for (int rank = 1; rank < ranks; ++rank) {
        EXPECT_EQ(estimate(wanted, {ranks, rank, wanted.node_ranks}).buffers, first);
      }
    }
  }
}

TEST_F(Plans, AreMadeForRanksThatDoNotExist) {
  test::PlanCase wanted = test::gpt_case("gpt");
  const RunEstimate one = estimate(wanted);
  EXPECT_TRUE(one.traffic.empty());
  const RunEstimate many = estimate(wanted, {512, 0, 8});
  MemoryTable buffers = many.buffers;
  std::erase_if(buffers, [](const auto& row) { return row.first == store::kPartials; });
  EXPECT_EQ(buffers, one.buffers) << "unsharded, but for the partial sums of the norm";
  ASSERT_FALSE(many.traffic.empty());
  EXPECT_THAT(many.traffic, Each(AllOf(Field(&Traffic::ranks, 512), Field(&Traffic::per_step, 1),
                                       Field(&Traffic::program, "micro_last"),
                                       Field(&Traffic::collective, "all_reduce"))));
  std::int64_t gradients = 0;
  for (const Traffic& one_call : many.traffic) {
    if (one_call.bucket >= 0) gradients += one_call.bytes;
  }
  EXPECT_EQ(gradients, bytes_of(many, MemoryKind::kGradients)) << "each gradient travels once";

  wanted.config.parallel.shard = "parameters";
  const RunEstimate sharded = estimate(wanted, {512, 0, 8});
  EXPECT_LT(bytes_of(sharded, MemoryKind::kMoments), bytes_of(one, MemoryKind::kMoments));
  EXPECT_GT(bytes_of(sharded, MemoryKind::kGatheredLayers), 0);
}

TEST_F(Plans, CountWhatShardingAndOrderingNeed) {
  test::PlanCase wanted = test::gpt_case("gpt");
  wanted.micro_batches = 4;
  const RunEstimate none = estimate(wanted, {4, 0, 4});
  wanted.config.parallel.shard = "optimizer";
  const RunEstimate optimizer = estimate(wanted, {4, 0, 4});
  // Buckets are padded to whole chunks of each rank, so a part is at least a quarter.
  EXPECT_GE(4 * bytes_of(optimizer, MemoryKind::kMoments), bytes_of(none, MemoryKind::kMoments));
  EXPECT_LT(3 * bytes_of(optimizer, MemoryKind::kMoments), bytes_of(none, MemoryKind::kMoments));

  wanted.config.parallel.reduction = "ordered";
  const RunEstimate ordered = estimate(wanted, {4, 0, 4});
  EXPECT_EQ(bytes_of(ordered, MemoryKind::kPartialGradients),
            2 * bytes_of(ordered, MemoryKind::kGradients))
      << "four micro batches of a rank take log2 4 + 1 gradients";
  const auto is_ordered = [](const Traffic& one) {
    return one.collective == "ordered_reduce_scatter";
  };
  const auto sum_of_calls = std::ranges::find_if(ordered.traffic, is_ordered);
  ASSERT_NE(sum_of_calls, ordered.traffic.end());
  EXPECT_EQ(sum_of_calls->wire_bytes, sum_of_calls->bytes * 3 / 4) << "what a ring would send";
}

TEST_F(Plans, CountTheBufferOfBackgroundSaves) {
  test::PlanCase wanted = test::gpt_case("gpt");
  EXPECT_EQ(estimate(wanted).checkpoint_buffer, 0) << "a run that saves at its end needs none";
  wanted.config.checkpoint.every = 10;
  const std::int64_t parameters = plan(wanted).plan.layout.parameter_count();
  const std::int64_t one = estimate(wanted).checkpoint_buffer;
  EXPECT_EQ(one, 3 * 4 * parameters) << "weights and two moments, without padding";
  for (const char* shard : {"none", "optimizer", "parameters"}) {
    wanted.config.parallel.shard = shard;
    const std::int64_t part = estimate(wanted, {4, 0, 4}).checkpoint_buffer;
    EXPECT_GE(4 * part, one) << shard;
    // Of whole chunks, which a small model's buckets do not divide into evenly.
    EXPECT_LT(2 * part, one) << shard;
  }
  wanted.config.checkpoint.async = false;
  EXPECT_EQ(estimate(wanted).checkpoint_buffer, 0);
}

TEST_F(Plans, TellRecomputedWorkFromForward) {
  test::PlanCase wanted = test::gpt_case("gpt");
  const StepWork kept = estimate(wanted).work;
  EXPECT_EQ(kept.recomputed, Work{});
  EXPECT_GT(kept.forward.matrix, 0);
  EXPECT_EQ(kept.update.matrix, 0);
  EXPECT_GT(kept.update.other, 0);
  wanted.config.model.recompute = "layer";
  const StepWork again = estimate(wanted).work;
  EXPECT_EQ(again.forward, kept.forward);
  EXPECT_GT(again.recomputed.matrix, 0);
  EXPECT_LT(again.recomputed.matrix, again.forward.matrix) << "the loss is not computed again";
  wanted.micro_batches = 3;
  EXPECT_EQ(estimate(wanted).work.forward.matrix, 3 * kept.forward.matrix);
}

}  // namespace
}  // namespace ingot
