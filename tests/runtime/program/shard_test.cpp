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
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

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

struct Range {
  std::string memory;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool writes = false;
};

/// What an instruction touches, by the addresses that the program runs with.
std::vector<Range> ranges_of(const Instruction& instruction) {
  std::vector<Range> ranges;
  const auto add = [&](const Operand& operand, bool writes) {
    const std::int64_t scale =
        operand.space == Space::kWeights || operand.space == Space::kGradients ? 4 : 1;
    const std::string memory = operand.space == Space::kArena       ? "arena"
                               : operand.space == Space::kWeights   ? "weights"
                               : operand.space == Space::kGradients ? "gradients"
                                                                    : operand.buffer;
    const std::int64_t begin = operand.offset * scale;
    ranges.push_back({memory, begin, begin + operand.type.bytes(), writes});
  };
  for (const Operand& input : instruction.inputs) {
    if (input.space != Space::kNone) add(input, false);
  }
  for (const Operand& output : instruction.outputs) add(output, true);
  if (instruction.workspace_bytes > 0) {
    ranges.push_back({"arena", instruction.workspace_offset,
                      instruction.workspace_offset + instruction.workspace_bytes, true});
  }
  return ranges;
}

bool conflicting(const Instruction& a, const Instruction& b) {
  for (const Range& x : ranges_of(a)) {
    for (const Range& y : ranges_of(b)) {
      if (x.memory == y.memory && (x.writes || y.writes) && x.begin < y.end && y.begin < x.end) {
        return true;
      }
    }
  }
  return false;
}

/// Follows which instructions are known to be done before each other one.
struct Order {
  explicit Order(const Program& program, bool heed_waits = true) {
    std::array<std::array<int, 2>, 2> known = {{{-1, -1}, {-1, -1}}};
    std::map<int, std::array<int, 2>> events;
    for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
      const Instruction& instruction = program.instructions[std::size_t(i)];
      const auto stream = std::size_t(instruction.stream);
      if (instruction.kind == InstructionKind::kRecord) {
        events[instruction.event] = known[stream];
      } else if (instruction.kind == InstructionKind::kWait) {
        bool learns = false;
        for (const std::size_t s : {0U, 1U}) {
          learns = learns || events.at(instruction.event)[s] > known[stream][s];
          if (heed_waits) {
            known[stream][s] = std::max(known[stream][s], events.at(instruction.event)[s]);
          }
        }
        if (!learns && !starts(program, i)) ++idle_waits;
      } else {
        for (int j = 0; j < i; ++j) {
          const Instruction& other = program.instructions[std::size_t(j)];
          if (other.event >= 0 || other.stream == instruction.stream) continue;
          if (known[stream][std::size_t(other.stream)] < j && conflicting(instruction, other)) {
            races.insert(other.label + " / " + instruction.label);
          }
        }
        known[stream][stream] = i;
      }
    }
    joined = known[0][1] >= last_communication(program);
  }
  /// The first wait of the communication stream orders it behind the programs before this one.
  static bool starts(const Program& program, int wait) {
    for (int i = 0; i < wait; ++i) {
      if (program.instructions[std::size_t(i)].kind == InstructionKind::kWait) return false;
    }
    return true;
  }
  static int last_communication(const Program& program) {
    int last = -1;
    for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
      const Instruction& instruction = program.instructions[std::size_t(i)];
      if (instruction.event < 0 && instruction.stream == kCommunicationStream) last = i;
    }
    return last;
  }
  std::set<std::string> races;
  int idle_waits = 0;
  bool joined = false;
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
