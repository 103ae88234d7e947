// gelu, relu and swiglu against their formulas in double, and their gradients against finite
// differences.
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double silu(double x) {
  return x / (1 + std::exp(-x));
}

Reference each(double (*function)(double)) {
  return [function](Values& in) {
    Values out = {in[0]};
    for (double& value : out[0]) value = function(value);
    return out;
  };
}

class Activation : public ::testing::Test {
 protected:
  Activation() { register_ops(registry_); }

  Registry registry_;
  std::mt19937 generator_{2};
};

TEST_F(Activation, GeluFollowsTheTanhForm) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t columns : {1, 3, 17, 65, 257, 5000}) {
        const OpCheck check{registry_,
                            "gelu",
                            {HostTensor::random({dtype, Shape{2, columns}}, generator_, -5, 5)},
                            {},
                            each(gelu)};
        check_forward(check);
        if (columns < 300) check_backward(check, {.wanted = {0}});
      }
    }
  });
}

TEST_F(Activation, GeluIsAccurateInTheNegativeTail) {
  const std::vector<double> x = {-8, -6, -4, -2, -1e-3, 1e-6, 9};
  std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{7}}, x)};
  const auto y = run_op(registry_, "gelu", inputs, {})[0].values();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double u = std::sqrt(2 / M_PI) * (x[i] + 0.044715 * x[i] * x[i] * x[i]);
    const double expected = x[i] / (1 + std::exp(-2 * u));
    EXPECT_NEAR(y[i], expected, 1e-5 * std::abs(expected)) << x[i];
  }
}

TEST_F(Activation, ReluKeepsWhatIsPositive) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {1, 17, 257}) {
      // Away from the kink, where a difference quotient says nothing.
      HostTensor x = HostTensor::random({dtype, Shape{columns}}, generator_, 0.1, 1);
      std::vector<double> values = x.values();
      for (std::size_t i = 0; i < values.size(); i += 2) values[i] = -values[i];
      x.set_values(values);
      const OpCheck check{
          registry_, "relu", {x}, {}, each([](double value) { return std::max(value, 0.0); })};
      check_forward(check);
      check_backward(check, {.wanted = {0}, .step = 1e-2});
    }
  }
}

TEST_F(Activation, NotANumberStaysOne) {
  for_each_instruction_set([&] {
    for (const char* op : {"gelu", "relu", "swiglu"}) {
      std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{2}}, {NAN, 1})};
      EXPECT_TRUE(std::isnan(run_op(registry_, op, inputs, {})[0].values()[0])) << op;
    }
  });
}

TEST_F(Activation, SwigluGatesTheSecondHalfWithTheFirst) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t columns : {1, 3, 17, 65, 257}) {
        const auto reference = [columns](Values& in) {
          const auto width = static_cast<std::size_t>(columns);
          Values out(1, std::vector<double>(in[0].size() / 2));
          for (std::size_t i = 0; i < out[0].size(); ++i) {
            const std::size_t at = i / width * 2 * width + i % width;
            out[0][i] = silu(in[0][at]) * in[0][at + width];
          }
          return out;
        };
        const OpCheck check{
            registry_,
            "swiglu",
            {HostTensor::random({dtype, Shape{3, 5, 2 * columns}}, generator_, -4, 4)},
            {},
            reference};
        check_forward(check);
        check_backward(check, {.wanted = {0}});
      }
    }
  });
}

TEST_F(Activation, BackwardOpsRunInPlace) {
  const TensorType type{DType::kF32, Shape{3, 14}};
  for (const char* op : {"gelu_backward", "relu_backward"}) {
    std::vector<HostTensor> inputs = {HostTensor::random(type, generator_),
                                      HostTensor::random(type, generator_)};
    std::vector<HostTensor> overwritten = inputs;
    const auto apart = run_op(registry_, op, inputs, {});
    const auto in_place = run_op(registry_, op, overwritten, {}, {.in_place = true});
    EXPECT_TRUE(apart[0].same_bits(in_place[0])) << op;
  }
  std::vector<HostTensor> inputs = {HostTensor::random({DType::kF32, Shape{3, 7}}, generator_),
                                    HostTensor::random(type, generator_)};
  std::vector<HostTensor> overwritten = inputs;
  const auto apart = run_op(registry_, "swiglu_backward", inputs, {});
  const auto in_place = run_op(registry_, "swiglu_backward", overwritten, {}, {.in_place = true});
  EXPECT_TRUE(apart[0].same_bits(in_place[0]));
}

}  // namespace
}  // namespace ingot::test
