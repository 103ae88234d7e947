// rmsnorm, alone and fused with the residual add, against the formula in double and finite
// differences.
#include "tests/ops/norm_reference.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

class Rmsnorm : public ::testing::Test {
 protected:
  Rmsnorm() { register_ops(registry_); }

  OpCheck check(DType dtype, std::int64_t rows, std::int64_t columns, bool adds) {
    const TensorType x{dtype, Shape{rows, 2, columns}};
    const TensorType parameter{dtype, Shape{columns}};
    std::vector<HostTensor> inputs = {HostTensor::random(x, generator_, -1, 3)};
    if (adds) inputs.push_back(HostTensor::random(x, generator_, -1, 2));
    inputs.push_back(HostTensor::random(parameter, generator_, 0.5, 1.5));
    return {registry_,
            adds ? "add_rmsnorm" : "rmsnorm",
            inputs,
            {{"epsilon", 1e-5}},
            NormReference{.centred = false, .adds = adds, .columns = columns}};
  }

  Registry registry_;
  std::mt19937 generator_{3};
};

TEST_F(Rmsnorm, MatchesTheFormulaAndItsGradient) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      // One column leaves nothing but rounding; it has its own test.
      for (const std::int64_t columns : {3, 17, 65, 257}) {
        {
          const OpCheck use = check(dtype, 21, columns, false);
          check_forward(use);
          check_backward(use, {.wanted = {0, 1}});
        }
      }
    }
  });
}

TEST_F(Rmsnorm, FusedWithTheAddMatchesTheFormulaAndItsGradient) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t columns : {3, 17, 65, 257}) {
        {
          const OpCheck use = check(dtype, 5, columns, true);
          OpCheck as_stored = use;
          as_stored.reference = NormReference{.centred = false,
                                              .adds = true,
                                              .columns = columns,
                                              .rounds_sum = dtype == DType::kBf16};
          check_forward(as_stored);
          const std::vector<int> wanted = {0, 1, 2};
          // The sum goes on along the residual path, or ends here.
          check_backward(use, {.wanted = wanted, .outputs = {0, 1}});
          check_backward(use, {.wanted = wanted, .outputs = {1}});
          check_backward(use, {.wanted = {0, 1}, .outputs = {0}});
        }
      }
    }
  });
}

TEST_F(Rmsnorm, HandlesOneColumn) {
  for (const bool adds : {false, true}) {
    check_forward(check(DType::kF32, 3, 1, adds));
  }
}

TEST_F(Rmsnorm, BackwardAddsTheResidualGradientAlsoInItsOwnMemory) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      const Shape shape{75, 33};
      const TensorType x{dtype, shape};
      const TensorType row{DType::kF32, Shape{75}};
      std::vector<HostTensor> inputs = {
          HostTensor::random(x, generator_), HostTensor::random(x, generator_),
          HostTensor::random(row, generator_, 0.5, 1.5),
          HostTensor::random({dtype, Shape{33}}, generator_), HostTensor::random(x, generator_)};
      const auto reference = [](Values& in) {
        constexpr std::size_t kColumns = 33;
        const std::vector<double>& rstd = in[2];
        const std::vector<double>& gamma = in[3];
        Values out = {in[4], std::vector<double>(kColumns)};
        for (std::size_t r = 0; r < in[0].size() / kColumns; ++r) {
          double mean_g = 0;
          double mean_gu = 0;
          const auto unit = [&](std::size_t c) { return in[1][r * kColumns + c] * rstd[r]; };
          for (std::size_t c = 0; c < kColumns; ++c) {
            const double dy = in[0][r * kColumns + c];
            mean_g += 0;
            mean_gu += dy * gamma[c] * unit(c) / kColumns;
            out[1][c] += dy * unit(c);
          }
          for (std::size_t c = 0; c < kColumns; ++c) {
            const double g = in[0][r * kColumns + c] * gamma[c];
            out[0][r * kColumns + c] += rstd[r] * (g - mean_g - unit(c) * mean_gu);
          }
        }
        return out;
      };
      check_forward({registry_, "rmsnorm_backward", inputs, {}, reference});
    }
  });
}

TEST_F(Rmsnorm, ManyRowsAreSummedTheSameOnAnyNumberOfThreads) {
  const OpCheck use = check(DType::kF32, 700, 19, false);
  check_forward(use);
  check_backward(use, {.wanted = {0, 1}, .samples = 5, .tolerance = 1e-3});
  std::vector<HostTensor> inputs = use.inputs;
  const auto y = run_op(registry_, "rmsnorm", inputs, use.attributes);
  std::vector<HostTensor> backward = {HostTensor::random(y[0].type(), generator_), inputs[0], y[1],
                                      inputs[1]};
  const Attributes attributes{};
  const auto one = run_op(registry_, "rmsnorm_backward", backward, attributes, {.threads = 1});
  for (const int threads : {2, 3, 5}) {
    const auto many =
        run_op(registry_, "rmsnorm_backward", backward, attributes, {.threads = threads});
    for (std::size_t o = 0; o < one.size(); ++o) EXPECT_TRUE(many[o].same_bits(one[o])) << threads;
  }
}

}  // namespace
}  // namespace ingot::test
