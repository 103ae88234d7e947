#include "runtime/program/shard.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "runtime/program/differentiate.hpp"
#include "runtime/program/gathers.hpp"
#include "runtime/program/schedule.hpp"
#include "tests/runtime/program/stream_order.hpp"
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

using test::Order;

constexpr std::int64_t kOdd = kChunk + 100;  // elements of a tensor: a gap follows it

/// A chain of `layers` ops with one parameter each; with `tied` the first layer's parameter is also
/// the last one's. Differentiated; a bucket per layer, cut for `ranks`.
struct Chain {
  Chain(int layers, int ranks, bool tied = false)
      : graph((test::register_test_ops(registry), registry)) {
    std::vector<ParameterSpec> parameters;
    ValueId x = graph.add_value({DType::kF32, Shape{kOdd}}, "x", Role::kInput);
    std::vector<ValueId> weights;
    for (int layer = 0; layer < layers; ++layer) {
      graph.set_scope("", layer);
      weights.push_back(graph.add_value({DType::kF32, Shape{kOdd}}, "w", Role::kParameter, layer));
      parameters.push_back({.name = "w", .shape = Shape{kOdd}, .layer = layer});
      x = graph.add("f", {x, weights.back()}, {}, "f").front();
    }
    if (tied) x = graph.add("f", {x, weights.front()}, {}, "tied").front();
    const Gradients gradients = differentiate(graph, x, layers, false);
    layout = lay_out(parameters, gradients.finish_order, 1, ranks);
    parallel.ranks = ranks;
    parallel.shard_ranks = ranks;
  }
  Program schedule(const GradientStep& step) const {
    PlacementOptions options;
    options.name = "test";
    options.parallel = parallel;
    options.gradients = step;
    return ingot::schedule(graph, layout, options, [](const Instruction& instruction) {
      return std::int64_t{instruction.kind == InstructionKind::kOrderedReduceScatter ? 4096 : 0};
    });
  }
  Registry registry;
  Graph graph;
  StoreLayout layout;
  ParallelPlan parallel;
};

int count(const Program& program, InstructionKind kind) {
  return static_cast<int>(std::ranges::count(program.instructions, kind, &Instruction::kind));
}

struct Case {
  const char* name;
  ShardMode shard;
  bool ordered;
  DType wire;
  GradientStep step;
  int shard_ranks;
};

class Sharding : public ::testing::TestWithParam<Case> {
 protected:
  Program program(bool tied) {
    chains_.push_back(std::make_unique<Chain>(6, 4, tied));
    Chain& chain = *chains_.back();
    chain.layout = lay_out(chain.layout.parameters, {6, 5, 4, 3, 2, 1}, 1, GetParam().shard_ranks);
    chain.parallel.shard = GetParam().shard;
    chain.parallel.ordered = GetParam().ordered;
    chain.parallel.wire = GetParam().wire;
    chain.parallel.shard_ranks = GetParam().shard_ranks;
    chain.parallel.slots = 3;
    return chain.schedule(GetParam().step);
  }

 private:
  std::vector<std::unique_ptr<Chain>> chains_;  // programs refer to ops of their registries
};

TEST_P(Sharding, OrdersWhateverTouchesTheSameMemory) {
  for (const bool tied : {false, true}) {
    const Program scheduled = program(tied);
    EXPECT_EQ(Order(scheduled).races, std::set<std::string>{}) << print(scheduled);
    EXPECT_NE(Order(scheduled, false).races, std::set<std::string>{}) << "waits are needed";
    EXPECT_TRUE(Order(scheduled).joined) << "what follows sees all communication";
  }
}

TEST_P(Sharding, WaitsForNothingThatIsKnownToBeDone) {
  for (const bool tied : {false, true}) {
    const Program scheduled = program(tied);
    EXPECT_EQ(Order(scheduled).idle_waits, 0) << print(scheduled);
    EXPECT_EQ(count(scheduled, InstructionKind::kRecord), scheduled.events);
    EXPECT_EQ(count(scheduled, InstructionKind::kWait), scheduled.events);
  }
}

TEST_P(Sharding, WaitsForWhatAnAddressNeeds) {
  const Program scheduled = program(false);
  for (std::size_t i = 0; i < scheduled.instructions.size(); ++i) {
    if (scheduled.instructions[i].kind != InstructionKind::kWait) continue;
    if (Order::starts(scheduled, static_cast<int>(i))) continue;
    Program without = scheduled;
    without.instructions.erase(without.instructions.begin() + static_cast<std::ptrdiff_t>(i));
    const Order order(without);
    EXPECT_TRUE(!order.races.empty() || !order.joined) << "instruction " << i << "\n"
                                                       << print(scheduled);
  }
}

const GradientStep kReduce = {true, false, 0, {}};
const GradientStep kAdd = {true, true, 0, {}};
const GradientStep kMerge = {true, false, 2, {1, 0}};

INSTANTIATE_TEST_SUITE_P(
    Modes, Sharding,
    ::testing::Values(
        Case{"none", ShardMode::kNone, false, DType::kF32, kReduce, 1},
        Case{"none_bf16", ShardMode::kNone, false, DType::kBf16, kReduce, 1},
        Case{"none_ordered", ShardMode::kNone, true, DType::kF32, kMerge, 4},
        Case{"optimizer", ShardMode::kOptimizer, false, DType::kF32, kReduce, 4},
        Case{"optimizer_node", ShardMode::kOptimizer, false, DType::kF32, kReduce, 2},
        Case{"optimizer_ordered", ShardMode::kOptimizer, true, DType::kF32, kMerge, 4},
        Case{"gradients", ShardMode::kGradients, false, DType::kF32, kReduce, 4},
        Case{"gradients_added", ShardMode::kGradients, false, DType::kF32, kAdd, 4},
        Case{"gradients_bf16", ShardMode::kGradients, false, DType::kBf16, kAdd, 2},
        Case{"gradients_ordered", ShardMode::kGradients, true, DType::kF32, kMerge, 4},
        Case{"parameters", ShardMode::kParameters, false, DType::kF32, kReduce, 4},
        Case{"parameters_node", ShardMode::kParameters, false, DType::kF32, kAdd, 2},
        Case{"parameters_ordered", ShardMode::kParameters, true, DType::kF32, kMerge, 4}),
    [](const auto& mode) { return mode.param.name; });

TEST(Gathers, BeginOneVisitAheadAndAreNotRepeatedAtTheTurn) {
  const Chain chain(4, 2);
  const GatherPlan plan = plan_gathers(chain.graph, chain.layout);
  // Forward visits layers 0 1 2 3; backward 3 (still there), 2 (still there: one visit between), 1,
  // 0. Bucket b is layer 3 - b.
  std::vector<int> buckets;
  for (const GatheredUse& use : plan.uses) buckets.push_back(use.bucket);
  EXPECT_EQ(buckets, (std::vector<int>{3, 2, 1, 0, 2, 3}));
  EXPECT_EQ(plan.uses[0].gate, 0);
  for (std::size_t u = 1; u < 4; ++u) EXPECT_EQ(plan.uses[u].gate, plan.uses[u - 1].first);
}

TEST(Gathers, KeepAtMostTwoBucketsInMemory) {
  for (const bool tied : {false, true}) {
    Chain chain(8, 2, tied);
    chain.parallel.shard = ShardMode::kParameters;
    const Program program = chain.schedule({true, false, 0, {}});
    std::map<int, std::pair<int, int>> lives;  // block: first, last instruction
    for (const Instruction& instruction : program.instructions) {
      if (instruction.kind != InstructionKind::kAllGather) continue;
      lives[instruction.outputs.front().block] = {-1, -1};
    }
    for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
      for (const auto* operands : {&program.instructions[std::size_t(i)].inputs,
                                   &program.instructions[std::size_t(i)].outputs}) {
        for (const Operand& operand : *operands) {
          if (!lives.contains(operand.block)) continue;
          auto& [first, last] = lives.at(operand.block);
          if (first < 0) first = i;
          last = i;
        }
      }
    }
    int most = 0;
    for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
      most = std::max(most, static_cast<int>(std::ranges::count_if(lives, [&](const auto& life) {
                        return life.second.first <= i && i <= life.second.second;
                      })));
    }
    EXPECT_EQ(most, 2);
  }
}

TEST(Gradients, OfAtMostTwoBucketsAreInMemoryWhileTheyAreReduced) {
  Chain chain(12, 2);
  chain.parallel.shard = ShardMode::kGradients;
  const std::int64_t bucket = chain.layout.buckets.front().count * 4;
  Chain longer(24, 2);
  longer.parallel.shard = ShardMode::kGradients;
  const std::int64_t activation = (kOdd * 4 + 63) / 64 * 64;
  // Each layer more keeps one activation more and nothing of gradients.
  EXPECT_LE(longer.schedule({true, false, 0, {}}).arena_bytes -
                chain.schedule({true, false, 0, {}}).arena_bytes,
            12 * activation);
  EXPECT_LE(chain.schedule({true, false, 0, {}}).arena_bytes, 13 * activation + 2 * bucket);
}

TEST(Gradients, HaveZerosInTheGapsBehindTensorsBeforeTheyAreReduced) {
  Chain chain(3, 4);
  chain.parallel.shard = ShardMode::kGradients;
  const Program program = chain.schedule({true, false, 0, {}});
  std::int64_t zeroed = 0;
  for (const Instruction& instruction : program.instructions) {
    if (instruction.kind == InstructionKind::kFillZero) {
      zeroed += instruction.outputs.front().type.count();
    }
  }
  EXPECT_EQ(zeroed, 3 * (4 * kChunk - kOdd));
}

TEST(Layout, CutsEveryBucketIntoWholeChunksForEveryRank) {
  const Chain chain(3, 3);
  std::int64_t local = 0;
  for (std::size_t b = 0; b < chain.layout.buckets.size(); ++b) {
    const Bucket& bucket = chain.layout.buckets[b];
    for (int rank = 0; rank < 3; ++rank) {
      const ShardRange range = chain.layout.shard_of(b, rank);
      EXPECT_EQ(range.count % kChunk, 0);
      EXPECT_EQ(range.flat, bucket.offset + rank * range.count);
      EXPECT_EQ(range.local, local);
    }
    local += bucket.count / 3;
  }
  EXPECT_EQ(local * 3, chain.layout.elements);
}

}  // namespace
}  // namespace ingot
