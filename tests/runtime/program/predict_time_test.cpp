// Times of programs that are written down here by hand, on machines of round figures.
#include "runtime/program/predict_time.hpp"

#include <gtest/gtest.h>

#include "ops/base/error.hpp"
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

/// Does as many matrix FLOPs as its attribute says, and moves its operands once.
class Product final : public test::SameShape {
 public:
  Product() : SameShape("product", -1, false) {}
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.matrix_flops = types.attributes.real("flops");
    return cost;
  }
};

Operand floats(Space space, std::int64_t count) {
  return {space, 0, "", {DType::kF32, Shape{count}}};
}

/// Writes programs down: 1 unit of an op's time is 1 s on machine().
class PredictedTimes : public testing::Test {
 protected:
  PredictedTimes() {
    registry_.add(std::make_unique<Product>());
    parallel_.ranks = 4;
    parallel_.node_ranks = 4;
  }

  static MachineModel machine() {
    MachineModel machine;
    machine.matrix_flops = 1000;
    machine.memory_bandwidth = 8000;
    machine.link = LinkModel{0, 0, 1500};
    return machine;
  }

  void compute(double flops, std::int64_t count = 1) {
    Instruction op;
    op.op = &registry_.find("product");
    op.attributes.set("flops", flops);
    op.inputs = {floats(Space::kArena, count)};
    op.outputs = {floats(Space::kArena, count)};
    program_.instructions.push_back(std::move(op));
  }
  void exchange(InstructionKind kind, std::int64_t count, RankGroup group = RankGroup::kAll) {
    Instruction collective;
    collective.kind = kind;
    collective.stream = kCommunicationStream;
    collective.group = group;
    collective.inputs = {floats(Space::kGradients, count)};
    collective.outputs = {floats(Space::kGradients, count)};
    program_.instructions.push_back(std::move(collective));
  }
  /// `waiting` goes on where the other stream is now.
  void order(int waiting) {
    Instruction event;
    event.event = program_.events++;
    event.kind = InstructionKind::kRecord;
    event.stream = 1 - waiting;
    program_.instructions.push_back(event);
    event.kind = InstructionKind::kWait;
    event.stream = waiting;
    program_.instructions.push_back(event);
  }
  PredictedTime predict(const MachineModel& machine) const {
    return predict_program(program_, parallel_, machine);
  }
  double seconds_of_last(const MachineModel& machine) const {
    return predict_seconds(program_.instructions.back(), parallel_, machine).value();
  }
  /// Ten units of backward whose gradients, ten units of exchange, leave in `buckets` parts.
  PredictedTime backward_in(int buckets) {
    program_ = {};
    for (int b = 0; b < buckets; ++b) {
      compute(10000.0 / buckets);
      order(kCommunicationStream);
      exchange(InstructionKind::kAllReduce, 2500 / buckets);
    }
    order(kComputeStream);
    return predict(machine());
  }

  Registry registry_;
  ParallelPlan parallel_;
  Program program_;
};

TEST_F(PredictedTimes, OfAnOpIsWhatBoundsIt) {
  compute(3000, 1000);  // 3 s of products, 1 s of memory
  EXPECT_DOUBLE_EQ(seconds_of_last(machine()), 3);
  compute(500, 2000);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine()), 2);
}

TEST_F(PredictedTimes, OfAnExchangeFollowTheRing) {
  MachineModel machine = PredictedTimes::machine();
  machine.link = LinkModel{7, 2, 1500};
  exchange(InstructionKind::kAllReduce, 1000);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 7 + 6 * 2 + 6.0 / 4 * 4000 / 1500);
  exchange(InstructionKind::kReduceScatter, 1000);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 7 + 3 * 2 + 3.0 / 4 * 4000 / 1500);
  exchange(InstructionKind::kAllGather, 500);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 7 + 3 * 2 + 3.0 / 4 * 2000 / 1500);
  exchange(InstructionKind::kOrderedReduceScatter, 1000);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 7 + 3 * 2 + 3.0 / 4 * 4000 / 1500 + 8000.0 / 8000)
      << "and the blocks are read and summed";
}

TEST_F(PredictedTimes, ExposeAllOfWhatNothingHides) {
  compute(2000);
  order(kCommunicationStream);
  exchange(InstructionKind::kAllReduce, 1000);  // 6 / 4 * 4000 / 1500 = 4 s
  order(kComputeStream);
  compute(1000);
  const PredictedTime time = predict(machine());
  EXPECT_DOUBLE_EQ(time.compute.value(), 3);
  EXPECT_DOUBLE_EQ(time.communication.value(), 4);
  EXPECT_DOUBLE_EQ(time.exposed.value(), 4);
  EXPECT_DOUBLE_EQ(time.total.value(), 7);
}

TEST_F(PredictedTimes, ExposeNothingOfWhatEndsInTime) {
  compute(1000);
  order(kCommunicationStream);
  exchange(InstructionKind::kAllReduce, 1000);
  compute(5000);
  order(kComputeStream);
  const PredictedTime time = predict(machine());
  EXPECT_DOUBLE_EQ(time.exposed.value(), 0);
  EXPECT_DOUBLE_EQ(time.total.value(), 6);
}

TEST_F(PredictedTimes, ExposeLessWhereBucketsAreCut) {
  EXPECT_DOUBLE_EQ(backward_in(1).exposed.value(), 10);
  EXPECT_DOUBLE_EQ(backward_in(2).exposed.value(), 5);
  EXPECT_DOUBLE_EQ(backward_in(5).exposed.value(), 2);
  EXPECT_DOUBLE_EQ(backward_in(5).total.value(), 12);
}

TEST_F(PredictedTimes, OverAShapedNetworkAreLongerThanInsideANode) {
  MachineModel machine = PredictedTimes::machine();
  machine.network = LinkModel{0, 1, 150};
  exchange(InstructionKind::kAllReduce, 1000);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 4) << "all ranks are on one node";
  parallel_.node_ranks = 2;
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 6 * 1 + 40) << "the slowest hop decides";
  machine.link->latency = 3;
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 6 * 3 + 40);
}

TEST_F(PredictedTimes, ShareTheNetworkOfANodeAmongItsRings) {
  MachineModel machine = PredictedTimes::machine();
  machine.network = LinkModel{0, 0, 150};
  parallel_.node_ranks = 2;
  parallel_.shard_ranks = 2;
  exchange(InstructionKind::kReduceScatter, 1000, RankGroup::kShard);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 4000.0 / 2 / 1500) << "stays inside";
  exchange(InstructionKind::kAllReduce, 500, RankGroup::kReplicas);
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 2000.0 / 75) << "two rings leave each node";
  machine.link.reset();
  EXPECT_DOUBLE_EQ(seconds_of_last(machine), 2000.0 / 75) << "none of these has two ranks of one";
}

TEST_F(PredictedTimes, AreUnknownWhereFiguresAre) {
  compute(1000);
  order(kCommunicationStream);
  exchange(InstructionKind::kAllReduce, 1000);
  order(kComputeStream);
  MachineModel machine = PredictedTimes::machine();
  machine.link.reset();
  EXPECT_DOUBLE_EQ(predict(machine).compute.value(), 1);
  EXPECT_FALSE(predict(machine).communication.has_value());
  EXPECT_FALSE(predict(machine).exposed.has_value());
  machine = PredictedTimes::machine();
  machine.matrix_flops = 0;
  EXPECT_FALSE(predict(machine).compute.has_value());
  EXPECT_DOUBLE_EQ(predict(machine).communication.value(), 4);
  EXPECT_FALSE(predict(machine).total.has_value());
}

TEST_F(PredictedTimes, OfAStepCountEachRunOfItsPrograms) {
  compute(1000);
  Program other = program_;
  other.instructions.push_back(other.instructions.front());
  const std::vector<ProgramRuns> runs = {{&program_, 3}, {&other, 1}, {&other, 0}};
  const auto times = predict_programs(runs, parallel_, machine());
  ASSERT_EQ(times.size(), 2U);
  EXPECT_DOUBLE_EQ(step_time(times).total.value(), 5);
  EXPECT_DOUBLE_EQ(step_time(times).exposed.value(), 0);
}

TEST(Links, AreNamedByPresetOrByTheirFigures) {
  const LinkModel nvlink = link_named("--link", "nvlink4");
  EXPECT_DOUBLE_EQ(nvlink.bandwidth, 450e9);
  EXPECT_DOUBLE_EQ(link_named("--link", "8xndr").bandwidth, 400e9);
  EXPECT_EQ(link_named("--link", "8xndr").latency, link_named("--link", "ndr").latency);
  EXPECT_EQ(link_named("--link", "2us,450GB/s"), (LinkModel{0, 2e-6, 450e9}));
  EXPECT_EQ(link_named("--link", "0,2Gbit/s"), (LinkModel{0, 0, 250e6}));
  EXPECT_DOUBLE_EQ(link_named("--link", "0.05ms,1 GB").latency, 50e-6);
  for (const char* wrong :
       {"nvlink", "2us", "x,1GB", "2us,", "2us,1GiB/h", "0xndr", "2us,0GB", ""}) {
    EXPECT_THROW(link_named("--link", wrong), Error) << wrong;
  }
}

TEST(Links, AreFoundFromMeasuredExchanges) {
  const LinkModel link{0, 3e-6, 2e9};
  const auto seconds = [&](double bytes) {
    return 2 * 7 * link.latency + 2.0 * 7 / 8 * bytes / link.bandwidth;
  };
  const std::vector<MeasuredExchange> measured = {
      {1 << 20, seconds(1 << 20)}, {1024, seconds(1024)}, {65536, 1}};
  const auto found = fit_link(measured, 8);
  ASSERT_TRUE(found.has_value());
  EXPECT_NEAR(found->latency, link.latency, 1e-12);
  EXPECT_NEAR(found->bandwidth, link.bandwidth, 1);
  EXPECT_FALSE(fit_link({measured.data(), 1}, 8).has_value());
  EXPECT_FALSE(fit_link({}, 8).has_value());
}

}  // namespace
}  // namespace ingot
