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
