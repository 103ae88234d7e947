// square_sums and finish_norm: f64 sums by chunk, clipping as torch does it, and the skip flag.
#include "ops/step_scalars.hpp"
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

class Norm : public ::testing::Test {
 protected:
  Norm() { register_ops(registry_); }

  StepScalars finish(const std::vector<double>& partials, StepScalars scalars) {
    std::vector<HostTensor> inputs = {
        HostTensor({DType::kF64, Shape{static_cast<std::int64_t>(partials.size())}}, partials),
        HostTensor::of_struct(scalars)};
    run_op(registry_, "finish_norm", inputs, {});
    std::memcpy(&scalars, inputs[1].data(), sizeof(scalars));
    return scalars;
  }

  Registry registry_;
  std::mt19937 generator_{15};
};

TEST_F(Norm, SquaresAreSummedByChunkInDouble) {
  for_each_instruction_set([&] {
    for (const std::int64_t chunk : {1, 3, 17, 65, 257, 4096}) {
      const OpCheck check{
          registry_,
          "square_sums",
          {HostTensor::random({DType::kF32, Shape{11 * chunk}}, generator_, -1e25, 1e25)},
          {{"chunk", chunk}},
          [chunk](Values& in) {
            Values out(1);
            for (std::size_t i = 0; i < in[0].size(); ++i) {
              if (i % static_cast<std::size_t>(chunk) == 0) out[0].push_back(0);
              out[0].back() += in[0][i] * in[0][i];
            }
            return out;
          },
          1e-12};
      check_forward(check);
    }
  });
}

TEST_F(Norm, GradientsAreClippedToTheNormOfTheMeanGradient) {
  StepScalars scalars;
  scalars.counted = 8;
  scalars.clip_norm = 0.5;
  const StepScalars clipped = finish({9 * 64, 16 * 64}, scalars);
  EXPECT_DOUBLE_EQ(clipped.gradient_norm, 5);
  EXPECT_DOUBLE_EQ(clipped.gradient_scale, 0.5 / (5 + 1e-6) / 8);
  EXPECT_EQ(clipped.skip, 0);

  scalars.clip_norm = 100;
  EXPECT_DOUBLE_EQ(finish({9 * 64, 16 * 64}, scalars).gradient_scale, 1.0 / 8);
  scalars.clip_norm = 0;
  EXPECT_DOUBLE_EQ(finish({9e10, 16e10}, scalars).gradient_scale, 1.0 / 8);
}

TEST_F(Norm, PartialSumsAreAddedInTheOrderGiven) {
  const auto norm = [&](const std::vector<double>& partials, const std::vector<double>& order) {
    std::vector<HostTensor> inputs = {
        HostTensor({DType::kF64, Shape{static_cast<std::int64_t>(partials.size())}}, partials),
        HostTensor::of_struct(StepScalars{}),
        HostTensor({DType::kI32, Shape{static_cast<std::int64_t>(order.size())}}, order)};
    run_op(registry_, "finish_norm", inputs, {});
    StepScalars scalars;
    std::memcpy(&scalars, inputs[1].data(), sizeof(scalars));
    return scalars.gradient_norm;
  };
  EXPECT_EQ(norm({100, 1, 100, 15, 9}, {1, 3, 4}), 5);
  EXPECT_EQ(norm({16}, {0}), 4);

  std::vector<double> partials(1000);
  std::uniform_real_distribution<double> uniform(0, 1e9);
  for (double& partial : partials) partial = uniform(generator_);
  // Two ranks with halves of 4 buckets of 250 chunks, as they lie when gathered; and the same
  // partials padded with chunks of zeros.
  std::vector<double> gathered;
  std::vector<double> order(partials.size());
  for (std::size_t rank = 0; rank < 2; ++rank) {
    for (std::size_t chunk = 0; chunk < partials.size(); ++chunk) {
      if (chunk % 250 / 125 != rank) continue;
      order[chunk] = static_cast<double>(gathered.size());
      gathered.push_back(partials[chunk]);
    }
  }
  std::vector<double> padded = partials;
  padded.insert(padded.begin() + 250, 6, 0.0);
  const double expected = finish(partials, {}).gradient_norm;
  EXPECT_EQ(norm(gathered, order), expected);
  EXPECT_EQ(finish(padded, {}).gradient_norm, expected);
}

TEST_F(Norm, AnOrderOfPartialSumsThatDoNotExistIsAnError) {
  if (on_cuda()) GTEST_SKIP() << "the table is ingot's own; only the CPU looks";
  for (const double index : {-1.0, 3.0}) {
    std::vector<HostTensor> inputs = {HostTensor({DType::kF64, Shape{3}}, {1, 2, 3}),
                                      HostTensor::of_struct(StepScalars{}),
                                      HostTensor({DType::kI32, Shape{1}}, {index})};
    EXPECT_THROW(run_op(registry_, "finish_norm", inputs, {}), Error) << index;
  }
}

TEST_F(Norm, ASumOfSquaresDependsOnItsChunkAlone) {
  // Not on where the chunk lies, nor on how many threads share the work.
  const HostTensor chunk = HostTensor::random({DType::kF32, Shape{1024}}, generator_, -3, 3);
  const std::vector<double> values = chunk.values();
  for_each_instruction_set([&] {
    double expected = 0;
    for (const std::int64_t chunks : {1, 2, 37}) {
      for (const int threads : {1, 2, 3}) {
        std::vector<double> all;
        for (std::int64_t c = 0; c < chunks; ++c)
          all.insert(all.end(), values.begin(), values.end());
        std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{chunks * 1024}}, all)};
        const auto sums = run_op(registry_, "square_sums", inputs, {{"chunk", std::int64_t{1024}}},
                                 {.threads = threads})[0]
                              .values();
        if (expected == 0) expected = sums[0];
        for (const double sum : sums) ASSERT_EQ(sum, expected);
      }
    }
  });
}

TEST_F(Norm, ANormThatIsNotFiniteSkipsTheStepAndTheNextOneGoesOn) {
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    const StepScalars skipped = finish({1, bad, 1}, {});
    EXPECT_EQ(skipped.skip, 1);
    EXPECT_EQ(skipped.gradient_scale, 0);
    EXPECT_FALSE(std::isfinite(skipped.gradient_norm));
    const StepScalars next = finish({1}, skipped);
    EXPECT_EQ(next.skip, 0);
    EXPECT_EQ(next.gradient_scale, 1);
  }
}

TEST_F(Norm, AGradientThatIsNotFiniteReachesThePartialSum) {
  for_each_instruction_set([&] {
    for (const double bad : {static_cast<double>(NAN), -static_cast<double>(INFINITY)}) {
      std::vector<double> values(99, 1);
      values[40] = bad;
      std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{99}}, values)};
      const auto sums =
          run_op(registry_, "square_sums", inputs, {{"chunk", std::int64_t{33}}})[0].values();
      EXPECT_EQ(sums[0], 33);
      EXPECT_FALSE(std::isfinite(sums[1]));
      EXPECT_EQ(sums[2], 33);
    }
  });
}

}  // namespace
}  // namespace ingot::test
