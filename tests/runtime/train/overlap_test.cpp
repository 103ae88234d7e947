// What of a step's communication hides behind computing, over the programs of a transformer as
// engines run them: which stream does what and in what order, and what the prediction says of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "runtime/program/predict_time.hpp"
#include "runtime/train/run_estimate.hpp"
#include "tests/runtime/train/engine_fixture.hpp"

namespace ingot {
namespace {

constexpr int kRanks = 8;

class Overlap : public testing::Test {
 protected:
  Overlap() : device_(test::make_device(cpu_device_, 1)) {
    test::register_test_ops(registry_);
    config_ = test::tiny_gpt(false);
    config_.model.layers = 6;
    config_.model.width = 64;
    config_.model.tied = false;
    config_.parallel.bucket = 1 << 12;  // a bucket per layer
  }

  const EnginePlan& plan(const char* shard, std::int64_t bucket = 1 << 12,
                         std::int64_t micro_batches = 1) {
    config_.parallel.shard = shard;
    config_.parallel.bucket = bucket;
    const ParallelPlan parallel =
        plan_parallel(config_, {.ranks = kRanks, .rank = 3, .node_ranks = kRanks}, micro_batches);
    plan_ = plan_engine({config_, {.vocabulary = 50}, micro_batches}, registry_, device_, parallel);
    return plan_;
  }
  const Program& last_micro() const { return plan_.micros.back().program; }
  PredictedTime predict(const Program& program, double link_bandwidth) const {
    return predict_program(program, plan_.parallel, machine(link_bandwidth));
  }
  static MachineModel machine(double link_bandwidth) {
    MachineModel machine;
    machine.matrix_flops = 1e12;
    machine.memory_bandwidth = 1e12;
    machine.link = LinkModel{0, 0, link_bandwidth};
    return machine;
  }
  double seconds_of(const Instruction& instruction, double link_bandwidth) const {
    return predict_seconds(instruction, plan_.parallel, machine(link_bandwidth)).value();
  }
  /// Where instructions of the program are that `wanted` is true of.
  template <typename F>
  static std::vector<std::size_t> places(const Program& program, F wanted) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < program.instructions.size(); ++i) {
      if (wanted(program.instructions[i])) found.push_back(i);
    }
    return found;
  }
  static bool is_op(const Instruction& instruction, std::string_view name) {
    return instruction.kind == InstructionKind::kOp && instruction.op->name() == name;
  }
  /// Of the reductions of gradients, in their order.
  static std::vector<std::size_t> reductions(const Program& program) {
    return places(program, [](const Instruction& one) {
      return one.bucket >= 0 && (one.kind == InstructionKind::kAllReduce ||
                                 one.kind == InstructionKind::kReduceScatter);
    });
  }

  static bool gathers_weights(const Instruction& one) {
    return one.kind == InstructionKind::kAllGather && one.bucket >= 0;
  }
  static Program without_gathers(Program program) {
    std::erase_if(program.instructions, gathers_weights);
    return program;
  }

  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_;
  Registry registry_;
  Config config_;
  EnginePlan plan_;
};

TEST_F(Overlap, LeavesOnlyWhatBackwardEndsWithWhereTheLinkKeepsUpWithBackward) {
  for (const char* shard : {"none", "optimizer", "gradients"}) {
    SCOPED_TRACE(shard);
    const std::size_t buckets = plan(shard).layout.buckets.size();
    ASSERT_GE(buckets, 6U);
    const Program program = without_gathers(last_micro());
    const double fast = 100e12;
    const auto exchanges = reductions(program);
    ASSERT_EQ(exchanges.size(), buckets);
    double all = 0;
    for (const std::size_t place : exchanges) {
      EXPECT_EQ(program.instructions[place].stream, kCommunicationStream);
      all += seconds_of(program.instructions[place], fast);
    }
    // What is complete only when backward is over, nothing can hide but the other buckets' norms.
    Program backward = program;
    std::erase_if(backward.instructions,
                  [](const Instruction& one) { return is_op(one, "square_sums"); });
    const std::size_t end = places(backward, [](const Instruction& one) {
                              return one.backward && one.stream == kComputeStream;
                            }).back();
    double last = 0;
    for (std::size_t i = end; i < backward.instructions.size(); ++i) {
      const Instruction& one = backward.instructions[i];
      if (is_collective(one.kind)) last += seconds_of(one, fast);
    }
    EXPECT_GT(last, 0);
    EXPECT_NEAR(predict(backward, fast).exposed.value(), last, 1e-3 * last);
    EXPECT_LE(predict(program, fast).exposed.value(), last);
    EXPECT_LT(seconds_of(program.instructions[exchanges.back()], fast), all / 2);
  }
}

TEST_F(Overlap, ReducesFinishedBucketsWhileBackwardGoesOn) {
  plan("none");
  const Program& program = last_micro();
  const auto exchanges = reductions(program);
  for (std::size_t b = 0; b + 1 < exchanges.size(); ++b) {
    const auto behind = std::count_if(
        program.instructions.begin() + static_cast<std::ptrdiff_t>(exchanges[b]),
        program.instructions.begin() + static_cast<std::ptrdiff_t>(exchanges[b + 1]),
        [](const Instruction& one) {
          return one.backward && one.stream == kComputeStream && one.kind == InstructionKind::kOp;
        });
    EXPECT_GT(behind, 0) << "backward goes on behind bucket " << b;
  }
  // A slow link, over which reductions cannot hide: cutting buckets hides more of them.
  const double slow = 1e9;
  const double cut = predict(program, slow).exposed.value();
  plan("none", 1 << 30);
  EXPECT_LT(cut, predict(last_micro(), slow).exposed.value());
}

TEST_F(Overlap, TakesTheNormOfEachBucketWhileLaterOnesAreReduced) {
  for (const char* shard : {"none", "optimizer", "gradients", "parameters"}) {
    SCOPED_TRACE(shard);
    const std::size_t buckets = plan(shard).layout.buckets.size();
    const Program& program = last_micro();
    const auto sums =
        places(program, [](const Instruction& one) { return is_op(one, "square_sums"); });
    ASSERT_EQ(sums.size(), buckets);
    std::int64_t chunks = 0;
    for (std::size_t b = 0; b < buckets; ++b) {
      const Instruction& sum = program.instructions[sums[b]];
      EXPECT_EQ(sum.bucket, static_cast<int>(b));
      EXPECT_EQ(sum.stream, kComputeStream);
      // Modes whose gradients are in the arena have waited for most reductions to reuse it.
      if (plan_.parallel.reduces_each_micro()) continue;
      EXPECT_EQ(program.instructions[sums[b] - 1].kind, InstructionKind::kWait)
          << "for the reduction of its own bucket only";
    }
    for (const std::size_t place : sums) {
      chunks += program.instructions[place].outputs.front().type.count();
    }
    const std::int64_t owners = shard == std::string_view("none") ? 1 : kRanks;
    EXPECT_EQ(chunks * kChunk, plan_.layout.elements / owners) << "each chunk once";
    EXPECT_TRUE(places(plan_.update->program, [](const Instruction& one) {
                  return is_op(one, "square_sums");
                }).empty());
    // Behind the last reduction is the sum of its own bucket alone.
    const double slow = 1e9;
    const PredictedTime time = predict(program, slow);
    Program without = program;
    std::erase_if(without.instructions,
                  [](const Instruction& one) { return is_op(one, "square_sums"); });
    EXPECT_NEAR(time.total.value() - predict(without, slow).total.value(),
                seconds_of(program.instructions[sums.back()], slow), 1e-12);
  }
}

TEST_F(Overlap, GathersUpdatedWeightsWhileTheNextForwardRuns) {
  for (const char* shard : {"optimizer", "gradients"}) {
    SCOPED_TRACE(shard);
    const std::size_t buckets = plan(shard).layout.buckets.size();
    EXPECT_TRUE(places(plan_.update->program, gathers_weights).empty());
    const Program& program = last_micro();
    const auto gathers = places(program, gathers_weights);
    ASSERT_EQ(gathers.size(), buckets);
    // Forward comes to the buckets in the order in which they are gathered, and waits for each.
    std::vector<std::string> gathered;
    for (const std::size_t place : gathers) {
      gathered.push_back(program.instructions[place].label + " done");
    }
    std::vector<std::string> waited;
    for (const Instruction& one : program.instructions) {
      const bool wait = one.kind == InstructionKind::kWait && one.stream == kComputeStream;
      if (wait && waited.size() < buckets) waited.push_back(one.label);
    }
    EXPECT_EQ(waited, gathered);
    // On a fast link nothing but the first is waited for.
    const double fast = 100e12;
    const double first = seconds_of(program.instructions[gathers.front()], fast);
    EXPECT_NEAR(predict(program, fast).exposed.value(),
                predict(without_gathers(program), fast).exposed.value() + first, 1e-3 * first);
  }
}

TEST_F(Overlap, GathersUpdatedWeightsOnceInAStep) {
  plan("optimizer", 1 << 12, 3);
  ASSERT_EQ(plan_.micro_of_batch.size(), 3U);
  std::vector<std::size_t> gathers;
  for (const std::size_t micro : plan_.micro_of_batch) {
    gathers.push_back(places(plan_.micros[micro].program, gathers_weights).size());
  }
  EXPECT_EQ(gathers, (std::vector<std::size_t>{plan_.layout.buckets.size(), 0, 0}));
}

TEST_F(Overlap, GathersWeightsBeforeTheyAreWanted) {
  plan("parameters");
  const Program& program = last_micro();
  const auto gathers = places(program, [](const Instruction& one) {
    return one.kind == InstructionKind::kAllGather && one.bucket >= 0;
  });
  ASSERT_GT(gathers.size(), plan_.layout.buckets.size());
  // On a fast link computing waits for the first weights and the last gradients alone.
  const double fast = 100e12;
  const double last = seconds_of(program.instructions[reductions(program).back()], fast);
  const double first = seconds_of(program.instructions[gathers.front()], fast);
  EXPECT_LE(predict(program, fast).exposed.value(), (first + last) * 1.001);
}

}  // namespace
}  // namespace ingot
