#include "runtime/program/schedule.hpp"

#include <gtest/gtest.h>

#include "runtime/program/differentiate.hpp"
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

/// A chain of `layers` ops with one parameter each, differentiated and laid out in buckets of
/// `bucket` parameters.
struct Chain {
  explicit Chain(int layers, int bucket) : graph((test::register_test_ops(registry), registry)) {
    std::vector<ParameterSpec> parameters;
    ValueId x = graph.add_value({DType::kF32, Shape{kChunk}}, "x", Role::kInput);
    for (int layer = 0; layer < layers; ++layer) {
      graph.set_scope("", layer);
      const ValueId w = graph.add_value({DType::kF32, Shape{kChunk}}, "w", Role::kParameter, layer);
      parameters.push_back({.name = "w", .shape = Shape{kChunk}, .layer = layer});
      x = graph.add("f", {x, w}, {}, "f").front();
    }
    const Gradients gradients = differentiate(graph, x, layers, false);
    layout = lay_out(parameters, gradients.finish_order, bucket * kChunk * 4);
  }
  Program schedule(bool reduce) const {
    PlacementOptions options;
    options.name = "test";
    options.parallel.ranks = reduce ? 2 : 1;
    options.gradients.reduces = reduce;
    return ingot::schedule(graph, layout, options,
                           [](const Instruction&) { return std::int64_t{0}; });
  }
  Registry registry;
  Graph graph;
  StoreLayout layout;
};

TEST(Schedule, ReducesEachBucketRightAfterItsLastGradientWhileBackwardGoesOn) {
  const Chain chain(6, 2);
  const Program program = chain.schedule(true);
  int last_op = -1;
  std::vector<int> reductions;
  for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
    const Instruction& instruction = program.instructions[std::size_t(i)];
    if (instruction.kind == InstructionKind::kOp) last_op = i;
    if (instruction.kind == InstructionKind::kAllReduce) reductions.push_back(i);
  }
  ASSERT_EQ(reductions.size(), 3U);
  EXPECT_LT(reductions[0], last_op);
  EXPECT_LT(reductions[1], last_op);
}

TEST(Schedule, CoversEveryGradientByExactlyOneBucket) {
  const Chain chain(7, 3);
  std::int64_t end = 0;
  for (const Bucket& bucket : chain.layout.buckets) {
    EXPECT_EQ(bucket.offset, end);
    end += bucket.count;
  }
  EXPECT_EQ(end, chain.layout.elements);
}

TEST(Schedule, PlacesLayersThatFinishFirstInTheFirstBucket) {
  const Chain chain(4, 1);
  EXPECT_EQ(chain.layout.bucket_of, (std::vector<int>{3, 2, 1, 0}));
}

TEST(Schedule, CutsTheEndOfBackwardFiner) {
  // Layers 3, 2, 1, 0 of four tensors of 1 MiB, then an embedding of 1 MiB; buckets of 4 MiB.
  constexpr std::int64_t kTensor = 1 << 18;
  std::vector<ParameterSpec> parameters;
  std::vector<int> finish;
  for (int layer = 3; layer >= 0; --layer) {
    for (int tensor = 0; tensor < 4; ++tensor) {
      parameters.push_back({.name = "w", .shape = Shape{kTensor}, .layer = layer});
    }
  }
  parameters.push_back({.name = "embedding", .shape = Shape{kTensor}, .layer = -1});
  for (int p = 0; p < static_cast<int>(parameters.size()); ++p) finish.push_back(p);
  const StoreLayout layout = lay_out(parameters, finish, 4 << 20);
  std::vector<std::int64_t> counts;
  for (const Bucket& bucket : layout.buckets) counts.push_back(bucket.count / kTensor);
  EXPECT_EQ(counts, (std::vector<std::int64_t>{4, 4, 4, 1, 1, 1, 1, 1}));
  // Smaller ones stay whole: the number of exchanges would count.
  const StoreLayout small = lay_out(parameters, finish, 512 << 10);
  EXPECT_EQ(small.buckets.size(), 5U);
}

TEST(Schedule, EmitsNoWaitThatAnotherImplies) {
  const Chain chain(6, 1);
  const Program program = chain.schedule(true);
  // Every record is waited for exactly once, by the other stream; and between two waits of the
  // communication stream lies new work of the compute stream.
  std::vector<int> records(std::size_t(program.events), 0);
  std::vector<int> waits(std::size_t(program.events), 0);
  bool computed = false;
  int compute_waits = 0;
  for (const Instruction& instruction : program.instructions) {
    if (instruction.kind == InstructionKind::kOp) computed = true;
    if (instruction.kind == InstructionKind::kRecord) ++records[std::size_t(instruction.event)];
    if (instruction.kind != InstructionKind::kWait) continue;
    ++waits[std::size_t(instruction.event)];
    if (instruction.stream == kCommunicationStream) {
      EXPECT_TRUE(computed) << instruction.label;
      computed = false;
    } else {
      ++compute_waits;
    }
  }
  EXPECT_EQ(records, std::vector<int>(std::size_t(program.events), 1));
  EXPECT_EQ(waits, records);
  EXPECT_EQ(compute_waits, 1) << "the last reduction implies the earlier ones";
}

TEST(Schedule, HasNoCommunicationOnASingleRank) {
  const Program program = Chain(3, 1).schedule(false);
  for (const Instruction& instruction : program.instructions) {
    EXPECT_EQ(instruction.kind, InstructionKind::kOp);
  }
  EXPECT_EQ(program.events, 0);
}

}  // namespace
}  // namespace ingot
