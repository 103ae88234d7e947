// Adding up losses, and select_position.
#include "ops/step_scalars.hpp"
#include "tests/ops/run_op.hpp"

namespace ingot::test {
namespace {

class Step : public ::testing::Test {
 protected:
  Step() { register_ops(registry_); }

  static StepScalars scalars_of(const HostTensor& tensor) {
    StepScalars scalars;
    std::memcpy(&scalars, tensor.data(), sizeof(scalars));
    return scalars;
  }

  Registry registry_;
  std::mt19937 generator_{21};
};

TEST_F(Step, LossesAreAddedToTheSumInSampleOrder) {
  // Only in this order does 1 vanish beside 2^53 and 2^53 then go away.
  StepScalars scalars;
  scalars.loss_sum = 0x1p53;
  std::vector<HostTensor> inputs = {HostTensor({DType::kF64, Shape{3}}, {1.0, -0x1p53, 0.25}),
                                    HostTensor::of_struct(scalars)};
  run_op(registry_, "accumulate_loss", inputs, {});
  EXPECT_EQ(scalars_of(inputs[1]).loss_sum, 0.25);
}

TEST_F(Step, ManyLossesGiveTheBitsOfALoop) {
  for (const std::int64_t count : {1, 31, 1024, 2500}) {
    std::vector<HostTensor> inputs = {
        HostTensor::random({DType::kF64, Shape{count}}, generator_, 0, 11),
        HostTensor::of_struct(StepScalars{})};
    double expected = 0;
    for (const double loss : inputs[0].values()) expected += loss;
    run_op(registry_, "accumulate_loss", inputs, {});
    EXPECT_EQ(scalars_of(inputs[1]).loss_sum, expected) << count << " losses";
  }
}

TEST_F(Step, AccumulatingALossChangesNoOtherScalar) {
  StepScalars scalars;
  scalars.seed = 5;
  scalars.counted = 7;
  std::vector<HostTensor> inputs = {HostTensor({DType::kF64, Shape{1}}, {2.0}),
                                    HostTensor::of_struct(scalars)};
  run_op(registry_, "accumulate_loss", inputs, {});
  scalars.loss_sum = 2;
  EXPECT_TRUE(inputs[1].same_bits(HostTensor::of_struct(scalars)));
}

TEST_F(Step, TheLossOfEachMicroBatchIsRecordedInItsPlace) {
  std::vector<HostTensor> inputs = {HostTensor({DType::kF64, Shape{3}}, {0x1p53, 1, -0x1p53}),
                                    HostTensor::of_struct(StepScalars{}),
                                    HostTensor({DType::kF64, Shape{3}}, {7, 7, 7})};
  run_op(registry_, "record_loss", inputs, {});
  inputs[0] = HostTensor({DType::kF64, Shape{3}}, {0.25, 0.5, 4});
  run_op(registry_, "record_loss", inputs, {});
  EXPECT_EQ(inputs[2].values(), (std::vector<double>{0, 4.75, 7}));
  StepScalars expected;
  expected.micro_batch = 2;
  EXPECT_TRUE(inputs[1].same_bits(HostTensor::of_struct(expected)));
}

TEST_F(Step, MoreMicroBatchesThanAStepHasAreAnError) {
  if (on_cuda()) GTEST_SKIP() << "the programs are ingot's own; only the CPU looks";
  StepScalars scalars;
  scalars.micro_batch = 1;
  std::vector<HostTensor> inputs = {HostTensor({DType::kF64, Shape{1}}, {1}),
                                    HostTensor::of_struct(scalars),
                                    HostTensor({DType::kF64, Shape{1}}, {0})};
  EXPECT_THROW(run_op(registry_, "record_loss", inputs, {}), Error);
}

TEST_F(Step, RecordedLossesAreAddedInTheOrderOfMicroBatches) {
  // Of 3 ranks with 2 each; 1 vanishes beside 2^53.
  const auto sum = [&](const std::vector<double>& losses, std::int64_t interleaved) {
    StepScalars scalars;
    scalars.loss_sum = 99;
    std::vector<HostTensor> inputs = {HostTensor({DType::kF64, Shape{6}}, losses),
                                      HostTensor::of_struct(scalars)};
    run_op(registry_, "sum_losses", inputs, {{"interleaved", interleaved}});
    return scalars_of(inputs[1]).loss_sum;
  };
  const std::vector<double> table = {0x1p53, -0x1p53, 1, 0.5, 1, 0};
  EXPECT_EQ(sum(table, 1), 2.5);
  EXPECT_EQ(sum(table, 3), 0.5);  // 2^53, 1, 1, -2^53, 0.5, 0
}

TEST_F(Step, RecordedLossesOfManyRanksAreAddedInThatOrderToo) {
  struct Table {
    std::int64_t ranks, own;
  };
  for (const Table& table : {Table{1, 3000}, Table{8, 700}, Table{1500, 2}}) {
    StepScalars scalars;
    std::vector<HostTensor> inputs = {
        HostTensor::random({DType::kF64, Shape{table.ranks * table.own}}, generator_),
        HostTensor::of_struct(scalars)};
    const std::vector<double> losses = inputs[0].values();
    double expected = 0;
    for (std::int64_t a = 0; a < table.own; ++a) {
      for (std::int64_t rank = 0; rank < table.ranks; ++rank) {
        expected += losses[static_cast<std::size_t>(rank * table.own + a)];
      }
    }
    run_op(registry_, "sum_losses", inputs, {{"interleaved", table.ranks}});
    EXPECT_EQ(scalars_of(inputs[1]).loss_sum, expected) << table.ranks << " x " << table.own;
  }
}

TEST_F(Step, OnePositionOfEachSampleIsSelected) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {1, 3, 8, 257, 768}) {
      StepScalars scalars;
      scalars.last_position = 4;
      std::vector<HostTensor> inputs = {
          HostTensor::random({dtype, Shape{3, 5, columns}}, generator_),
          HostTensor::of_struct(scalars)};
      const std::vector<double> x = inputs[0].values();
      const auto selected = run_op(registry_, "select_position", inputs, {})[0].values();
      for (std::int64_t i = 0; i < 3 * columns; ++i) {
        const std::int64_t from = (i / columns * 5 + 4) * columns + i % columns;
        ASSERT_EQ(selected[static_cast<std::size_t>(i)], x[static_cast<std::size_t>(from)])
            << columns << " columns, element " << i;
      }
    }
  }
}

TEST_F(Step, APositionOutsideTheChunkIsAnError) {
  for (const std::int64_t position : {-1, 5}) {
    StepScalars scalars;
    scalars.last_position = position;
    std::vector<HostTensor> inputs = {HostTensor::random({DType::kF32, Shape{1, 5, 3}}, generator_),
                                      HostTensor::of_struct(scalars)};
    EXPECT_THROW(run_op(registry_, "select_position", inputs, {}), Error) << position;
  }
}

}  // namespace
}  // namespace ingot::test
