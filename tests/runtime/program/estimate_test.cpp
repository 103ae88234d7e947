// The estimator reads programs that are written down here by hand.
#include "runtime/program/estimate.hpp"

#include <gmock/gmock.h>

#include "runtime/program/update.hpp"
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

using testing::ElementsAre;

TensorType floats(std::int64_t count) {
  return {DType::kF32, Shape{count}};
}

Operand in_arena(int block, std::int64_t offset, std::int64_t count) {
  Operand operand{Space::kArena, offset, "", floats(count)};
  operand.block = block;
  return operand;
}

Operand in_gradients(std::int64_t offset, std::int64_t count) {
  return {Space::kGradients, offset, "", floats(count)};
}

class Estimates : public testing::Test {
 protected:
  Estimates() { test::register_test_ops(registry_); }

  Instruction op(std::vector<Operand> inputs, std::vector<Operand> outputs,
                 std::int64_t workspace_bytes = 0) const {
    Instruction instruction;
    instruction.op = &registry_.find("f");
    instruction.inputs = std::move(inputs);
    instruction.outputs = std::move(outputs);
    instruction.workspace_bytes = workspace_bytes;
    return instruction;
  }
  static Instruction collective(InstructionKind kind, RankGroup group, int bucket, Operand from,
                                Operand to) {
    Instruction instruction;
    instruction.kind = kind;
    instruction.group = group;
    instruction.bucket = bucket;
    instruction.label = "bucket " + std::to_string(bucket);
    instruction.inputs = {std::move(from)};
    instruction.outputs = {std::move(to)};
    return instruction;
  }

  Registry registry_;
};

TEST_F(Estimates, CutTheArenaAsItIsUsedWhenMostIsAlive) {
  Program program;
  program.arena_bytes = 1000;
  const Operand a = in_arena(0, 0, 25);    // bytes 0 to 100
  const Operand b = in_arena(1, 128, 50);  // 128 to 328
  const Operand c = in_arena(2, 384, 10);
  program.instructions = {op({}, {a}), op({a}, {b}, 300), op({b}, {c}, 310), op({c}, {c})};
  const ProgramRuns runs{&program, 1};
  const auto memory = memory_by_kind({{"arena", 1000}}, {&runs, 1}, 1);
  EXPECT_THAT(memory, ElementsAre(MemoryUse{MemoryKind::kActivations, 300},
                                  MemoryUse{MemoryKind::kWorkspaces, 300},
                                  MemoryUse{MemoryKind::kGaps, 400}))
      << "while b is made of a, more is alive than while c is made of b with a larger workspace";
}

TEST_F(Estimates, OfTheArenaAreThoseOfTheProgramThatNeedsMost) {
  Program small;
  small.arena_bytes = 64;
  small.instructions = {op({}, {in_arena(0, 0, 16)}, 0)};
  Program large;
  large.arena_bytes = 128;
  large.instructions = {op({}, {in_arena(0, 0, 20)}, 48)};
  const std::vector<ProgramRuns> runs = {{&small, 1}, {&large, 0}};
  EXPECT_THAT(
      memory_by_kind({{"arena", 128}}, runs, 1),
      ElementsAre(MemoryUse{MemoryKind::kActivations, 80}, MemoryUse{MemoryKind::kWorkspaces, 48}));
}

TEST_F(Estimates, TellGatheredLayersAndGradientsInTheArenaFromActivations) {
  Program program;
  program.arena_bytes = 1024;
  const Operand layer = in_arena(0, 0, 64);
  const Operand gradient = in_arena(1, 256, 32);
  program.instructions = {collective(InstructionKind::kAllGather, RankGroup::kShard, 3,
                                     Operand{Space::kWeights, 0, "", floats(32)}, layer),
                          op({in_arena(0, 128, 8)}, {in_arena(1, 256, 16)}),
                          op({layer}, {in_arena(1, 320, 16)}),
                          collective(InstructionKind::kReduceScatter, RankGroup::kShard, 3,
                                     gradient, in_gradients(0, 16))};
  const ProgramRuns runs{&program, 1};
  EXPECT_THAT(
      memory_by_kind({{"arena", 1024}}, {&runs, 1}, 1),
      ElementsAre(MemoryUse{MemoryKind::kGradients, 128},
                  MemoryUse{MemoryKind::kGatheredLayers, 256}, MemoryUse{MemoryKind::kGaps, 640}));
}

TEST_F(Estimates, NameWhatEachBufferIsForAndLoseNoByte) {
  const MemoryTable table = {{store::kAverage, 1}, {store::kFactors, 2}, {store::kGradients, 1000},
                             {store::kMaster, 4},  {store::kMoment1, 8}, {store::kMoment2, 16},
                             {"tokens", 32},       {store::kWeights, 64}};
  const auto memory = memory_by_kind(table, {}, 5);
  EXPECT_THAT(
      memory,
      ElementsAre(MemoryUse{MemoryKind::kParameters, 68}, MemoryUse{MemoryKind::kGradients, 200},
                  MemoryUse{MemoryKind::kPartialGradients, 800},
                  MemoryUse{MemoryKind::kMoments, 24}, MemoryUse{MemoryKind::kAveragedWeights, 1},
                  MemoryUse{MemoryKind::kInputsOutputs, 34}));
  EXPECT_EQ(total_bytes(table), 1127);
}

TEST_F(Estimates, CountWhatARingSends) {
  ParallelPlan parallel;
  parallel.ranks = 8;
  parallel.shard_ranks = 4;
  Program micro;
  micro.name = "micro";
  micro.instructions = {collective(InstructionKind::kReduceScatter, RankGroup::kShard, 1,
                                   in_gradients(0, 400), in_gradients(0, 100))};
  Program last;
  last.name = "micro_last";
  last.instructions = {collective(InstructionKind::kAllReduce, RankGroup::kAll, 0,
                                  in_gradients(0, 1000), in_gradients(0, 1000)),
                       collective(InstructionKind::kAllReduce, RankGroup::kReplicas, 1,
                                  in_gradients(0, 101), in_gradients(0, 101)),
                       collective(InstructionKind::kAllGather, RankGroup::kShard, 2,
                                  in_gradients(0, 50), in_gradients(0, 200))};
  last.instructions.push_back(collective(InstructionKind::kOrderedReduceScatter, RankGroup::kAll, 3,
                                         in_gradients(0, 80), in_gradients(0, 10)));
  last.instructions.back().inputs.push_back(in_gradients(1000, 80));
  const std::vector<ProgramRuns> runs = {{&micro, 3}, {&last, 1}};
  const std::vector<Traffic> traffic = step_traffic(runs, parallel);
  ASSERT_EQ(traffic.size(), 5U);
  EXPECT_EQ(traffic[0], (Traffic{"micro", "reduce_scatter", "bucket 1", 1, 4, 1600, 1200, 3}));
  EXPECT_EQ(traffic[1], (Traffic{"micro_last", "all_reduce", "bucket 0", 0, 8, 4000, 7000, 1}));
  EXPECT_EQ(traffic[2], (Traffic{"micro_last", "all_reduce", "bucket 1", 1, 2, 404, 404, 1}));
  EXPECT_EQ(traffic[3], (Traffic{"micro_last", "all_gather", "bucket 2", 2, 4, 800, 600, 1}));
  EXPECT_EQ(traffic[4],
            (Traffic{"micro_last", "ordered_reduce_scatter", "bucket 3", 3, 8, 640, 560, 1}))
      << "each of two partial sums";
}

TEST_F(Estimates, SplitWorkByWhatItIsDoneFor) {
  const auto part = [&](bool backward, std::int64_t count) {
    Instruction instruction = op({in_arena(0, 0, count)}, {in_arena(0, 0, count)});
    instruction.backward = backward;
    return instruction;
  };
  Program micro;  // the third op is one of forward, again
  micro.instructions = {part(false, 1), part(true, 10), part(false, 100), part(true, 1000)};
  Program update;
  update.instructions = {part(false, 7)};
  Program evaluate;
  evaluate.instructions = {part(false, 5)};
  const std::vector<ProgramRuns> runs = {{&micro, 3}, {&update, 1}, {&evaluate, 0}};
  const StepWork work = step_work(runs);
  EXPECT_EQ(work.forward, (Work{0, 3}));
  EXPECT_EQ(work.recomputed, (Work{0, 300}));
  EXPECT_EQ(work.backward, (Work{0, 3030}));
  EXPECT_EQ(work.update, (Work{0, 7}));
  EXPECT_EQ(work.total(), (Work{0, 3340}));
}

}  // namespace
}  // namespace ingot
