// linear and its backward against a double-precision reference: odd shapes, several tiles, several
// blocks of the bf16 path, bias and GELU, f32 and bf16.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ops/linear/matrix_algorithms.hpp"
#include "ops/linear/matrix_product.hpp"
#include "tests/ops/op_check.hpp"

namespace ingot {

void register_activation(Registry& registry);
void register_linear(Registry& registry);

namespace {

using test::HostTensor;
using test::OpCheck;
using test::Values;

const Registry& registry() {
  static const Registry* const filled = [] {
    auto* created = new Registry;
    register_linear(*created);
    register_activation(*created);
    return created;
  }();
  return *filled;
}

struct Case {
  DType dtype;
  std::int64_t rows;
  std::int64_t features;  // K
  std::int64_t outputs;   // M
  bool bias;
  bool gelu;
};

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return std::string(name_of(c.dtype)) + "_" + std::to_string(c.rows) + "x" +
         std::to_string(c.features) + "_to_" + std::to_string(c.outputs) + (c.bias ? "_bias" : "") +
         (c.gelu ? "_gelu" : "");
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

Values linear_reference(const Case& c, const Values& inputs) {
  std::vector<double> pre(static_cast<std::size_t>(c.rows * c.outputs));
  for (std::int64_t r = 0; r < c.rows; ++r) {
    for (std::int64_t m = 0; m < c.outputs; ++m) {
      double sum = c.bias ? inputs[2][static_cast<std::size_t>(m)] : 0;
      const double* x = inputs[0].data() + r * c.features;
      const double* weight = inputs[1].data() + m * c.features;
      for (std::int64_t k = 0; k < c.features; ++k) sum += x[k] * weight[k];
      pre[static_cast<std::size_t>(r * c.outputs + m)] = sum;
    }
  }
  if (!c.gelu) return {pre};
  std::vector<double> y = pre;
  for (double& value : y) value = gelu(value);
  return {y, pre};
}

OpCheck check_of(const Case& c) {
  std::mt19937 generator(1);
  const double spread = std::sqrt(3.0 / static_cast<double>(c.features));
  std::vector<HostTensor> inputs;
  // Two leading dimensions where the number of rows allows it.
  const Shape x = c.rows % 2 == 0 ? Shape{2, c.rows / 2, c.features} : Shape{c.rows, c.features};
  inputs.push_back(HostTensor::random({c.dtype, x}, generator, -1.5, 1.5));
  inputs.push_back(
      HostTensor::random({c.dtype, Shape{c.outputs, c.features}}, generator, -spread, spread));
  inputs.push_back(c.bias ? HostTensor::random({c.dtype, Shape{c.outputs}}, generator)
                          : HostTensor());
  return {registry(),
          "linear",
          std::move(inputs),
          {{"activation", std::string(c.gelu ? "gelu" : "none")}},
          [c](Values& values) { return linear_reference(c, values); }};
}

class LinearTest : public testing::TestWithParam<Case> {};

TEST_P(LinearTest, ComputesTheReference) {
  test::check_forward(check_of(GetParam()));
}

TEST_P(LinearTest, BackwardAgreesWithFiniteDifferences) {
  const Case& c = GetParam();
  if (c.rows * c.features * c.outputs > 1000000) GTEST_SKIP() << "too slow for differences";
  test::BackwardOptions options;
  options.wanted = c.bias ? std::vector<int>{0, 1, 2} : std::vector<int>{0, 1};
  options.samples = 12;
  test::check_backward(check_of(c), options);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, LinearTest,
    testing::Values(
        Case{DType::kF32, 1, 1, 1, true, false}, Case{DType::kF32, 1, 64, 200, false, false},
        Case{DType::kF32, 6, 17, 33, true, true}, Case{DType::kF32, 131, 19, 77, true, false},
        Case{DType::kF32, 131, 19, 77, false, true}, Case{DType::kF32, 300, 65, 810, true, true},
        Case{DType::kBf16, 1, 1, 1, true, false}, Case{DType::kBf16, 1, 64, 200, false, false},
        Case{DType::kBf16, 6, 17, 33, true, true}, Case{DType::kBf16, 131, 19, 77, true, false},
        Case{DType::kBf16, 131, 19, 77, false, true}, Case{DType::kBf16, 300, 65, 810, true, true},
        Case{DType::kBf16, 5, 24, 4150, true, true}, Case{DType::kBf16, 7, 2100, 24, true, false},
        Case{DType::kBf16, 2060, 8, 12, true, false}),
    name_of_case);

/// Reference of the two backward ops, so that large shapes and the accumulate bits are covered.
class LinearBackwardTest : public testing::TestWithParam<Case> {};

TEST_P(LinearBackwardTest, InputGradientIsTheProductWithTheWeight) {
  const Case& c = GetParam();
  std::mt19937 generator(2);
  OpCheck check{registry(), "linear_backward_input", {}, {}, {}};
  check.inputs.push_back(HostTensor::random({c.dtype, Shape{c.rows, c.outputs}}, generator));
  check.inputs.push_back(HostTensor::random({c.dtype, Shape{c.outputs, c.features}}, generator));
  check.reference = [c](Values& inputs) {
    std::vector<double> dx(static_cast<std::size_t>(c.rows * c.features));
    for (std::int64_t r = 0; r < c.rows; ++r) {
      for (std::int64_t m = 0; m < c.outputs; ++m) {
        const double dy = inputs[0][static_cast<std::size_t>(r * c.outputs + m)];
        const double* weight = inputs[1].data() + m * c.features;
        double* to = dx.data() + r * c.features;
        for (std::int64_t k = 0; k < c.features; ++k) to[k] += dy * weight[k];
      }
    }
    return Values{dx};
  };
  test::check_forward(check);
}

TEST_P(LinearBackwardTest, InputGradientPassesThroughGelu) {
  const Case& c = GetParam();
  std::mt19937 generator(4);
  OpCheck check{registry(), "linear_backward_gelu", {}, {}, {}};
  check.inputs.push_back(HostTensor::random({c.dtype, Shape{c.rows, c.outputs}}, generator));
  check.inputs.push_back(HostTensor::random({c.dtype, Shape{c.outputs, c.features}}, generator));
  check.inputs.push_back(
      HostTensor::random({c.dtype, Shape{c.rows, c.features}}, generator, -4, 4));
  check.reference = [c](Values& inputs) {
    std::vector<double> dx(static_cast<std::size_t>(c.rows * c.features));
    for (std::int64_t r = 0; r < c.rows; ++r) {
      double* to = dx.data() + r * c.features;
      for (std::int64_t m = 0; m < c.outputs; ++m) {
        const double dy = inputs[0][static_cast<std::size_t>(r * c.outputs + m)];
        const double* weight = inputs[1].data() + m * c.features;
        for (std::int64_t k = 0; k < c.features; ++k) to[k] += dy * weight[k];
      }
      for (std::int64_t k = 0; k < c.features; ++k) {
        const double x = inputs[2][static_cast<std::size_t>(r * c.features + k)];
        constexpr double kStep = 1e-5;
        to[k] *= (gelu(x + kStep) - gelu(x - kStep)) / (2 * kStep);
      }
    }
    return Values{dx};
  };
  test::check_forward(check);
}

TEST_P(LinearBackwardTest, WeightAndBiasGradientsAreF32Sums) {
  const Case& c = GetParam();
  std::mt19937 generator(3);
  OpCheck check{registry(), "linear_backward_weight", {}, {{"bias", std::int64_t{c.bias}}}, {}};
  check.inputs.push_back(HostTensor::random({c.dtype, Shape{c.rows, c.outputs}}, generator));
  check.inputs.push_back(HostTensor::random({c.dtype, Shape{c.rows, c.features}}, generator));
  check.tolerance = 2e-5;  // products of bf16 are exact in f32, and nothing is rounded to bf16
  check.reference = [c](Values& inputs) {
    Values result(c.bias ? 2 : 1);
    result[0].resize(static_cast<std::size_t>(c.outputs * c.features));
    if (c.bias) result[1].resize(static_cast<std::size_t>(c.outputs));
    for (std::int64_t r = 0; r < c.rows; ++r) {
      for (std::int64_t m = 0; m < c.outputs; ++m) {
        const double dy = inputs[0][static_cast<std::size_t>(r * c.outputs + m)];
        if (c.bias) result[1][static_cast<std::size_t>(m)] += dy;
        const double* x = inputs[1].data() + r * c.features;
        double* to = result[0].data() + m * c.features;
        for (std::int64_t k = 0; k < c.features; ++k) to[k] += dy * x[k];
      }
    }
    return result;
  };
  test::check_forward(check);
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearBackwardTest,
                         testing::Values(Case{DType::kF32, 1, 5, 9, true, false},
                                         Case{DType::kF32, 270, 97, 131, true, false},
                                         Case{DType::kF32, 33, 70, 1601, false, false},
                                         Case{DType::kBf16, 1, 5, 9, true, false},
                                         Case{DType::kBf16, 270, 97, 131, true, false},
                                         Case{DType::kBf16, 33, 12, 4130, true, false},
                                         Case{DType::kBf16, 2090, 40, 12, false, false}),
                         name_of_case);

TEST(LinearBackward, WithGeluHasTheBitsOfTheTwoOpsOneAfterTheOther) {
  if (test::on_cuda()) GTEST_SKIP() << "the GPU's library rounds once where two ops round twice";
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    std::mt19937 generator(5);
    std::vector<HostTensor> product{HostTensor::random({dtype, Shape{300, 70}}, generator),
                                    HostTensor::random({dtype, Shape{70, 90}}, generator)};
    const HostTensor pre = HostTensor::random({dtype, Shape{300, 90}}, generator, -3, 3);
    std::vector<HostTensor> both = product;
    both.push_back(pre);
    std::vector<HostTensor> activation{
        run_op(registry(), "linear_backward_input", product, {}).front(), pre};
    EXPECT_TRUE(run_op(registry(), "linear_backward_gelu", both, {})
                    .front()
                    .same_bits(run_op(registry(), "gelu_backward", activation, {}).front()));
  }
}

/// The three products of a layer whose gradients of weights are summed over more than one piece.
std::vector<HostTensor> products_of_a_layer(DType dtype, int threads) {
  std::mt19937 generator(7);
  const HostTensor x = HostTensor::random({dtype, Shape{1100, 200}}, generator);
  const HostTensor weight = HostTensor::random({dtype, Shape{700, 200}}, generator);
  const HostTensor bias = HostTensor::random({dtype, Shape{700}}, generator);
  const HostTensor dy = HostTensor::random({dtype, Shape{1100, 700}}, generator);
  std::vector<HostTensor> layer{x, weight, bias};
  std::vector<HostTensor> to_input{dy, weight};
  std::vector<HostTensor> to_weight{dy, x};
  return {
      run_op(registry(), "linear", layer, {}, {.threads = threads}).front(),
      run_op(registry(), "linear_backward_input", to_input, {}, {.threads = threads}).front(),
      run_op(registry(), "linear_backward_weight", to_weight, {}, {.threads = threads}).front()};
}

TEST(Linear, HasTheSameBitsOnAnyNumberOfThreadsUnlessToldToSuitThem) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    const std::vector<HostTensor> one = products_of_a_layer(dtype, 1);
    for (const int threads : {2, 3, 7}) {
      const std::vector<HostTensor> many = products_of_a_layer(dtype, threads);
      for (std::size_t i = 0; i < one.size(); ++i) {
        EXPECT_TRUE(many[i].same_bits(one[i])) << threads << " threads, product " << i;
      }
    }
    const ChoiceScope scope(matrix_algorithms(), AlgorithmChoice::kMeasure);
    for (const int threads : {1, 2, 3, 7, 40}) {
      const std::vector<HostTensor> suited = products_of_a_layer(dtype, threads);
      for (std::size_t i = 0; i < one.size(); ++i) {
        const std::vector<double> expected = one[i].values();
        const std::vector<double> values = suited[i].values();
        ASSERT_EQ(values.size(), expected.size());
        for (std::size_t j = 0; j < values.size(); ++j) {
          const double rounding = dtype == DType::kF32 || i == 2 ? 1e-4 : 0.01;
          ASSERT_NEAR(values[j], expected[j], rounding * (10 + std::abs(expected[j])))
              << threads << " threads, product " << i << ", element " << j;
        }
      }
    }
  }
}

void check_covers(const cpu::TileGrid& grid, std::int64_t rows, std::int64_t columns) {
  std::int64_t covered = 0;
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const auto tile = grid.tile(i);
    ASSERT_GT(tile.rows, 0);
    ASSERT_GT(tile.columns, 0);
    ASSERT_LE(tile.row + tile.rows, rows);
    ASSERT_LE(tile.column + tile.columns, columns);
    covered += tile.rows * tile.columns;
  }
  EXPECT_EQ(covered, rows * columns);
}

TEST(TileGrid, CoversEveryElementOnce) {
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, {1, 50257}, {257, 769}, {1024, 384}, {2048, 2048}, {13, 100}}) {
    check_covers({rows, columns}, rows, columns);
    for (const int threads : {1, 2, 3, 8, 64}) {
      check_covers({rows, columns, threads, {512, 768}}, rows, columns);
      check_covers({rows, columns, threads, {4096, 65536}}, rows, columns);
    }
  }
}

TEST(TileGrid, HasOneTileForOneThreadAndOneForEachOfSeveral) {
  const cpu::TileGrid::Most any{1 << 30, 1 << 30};
  EXPECT_EQ(cpu::TileGrid(1024, 1536, 1, any).count(), 1);
  EXPECT_EQ(cpu::TileGrid(1024, 1536, 4, any).count(), 4);
  EXPECT_EQ(cpu::TileGrid(1024, 1536, 32, any).count(), 32);
  // Within the cache, for what follows each tile.
  EXPECT_EQ(cpu::TileGrid(1024, 1536, 1, {512, 768}).count(), 4);
}

TEST(Linear, RefusesShapesThatDoNotFit) {
  const TensorType x{DType::kF32, Shape{4, 8}};
  const TensorType weight{DType::kF32, Shape{3, 9}};
  EXPECT_THROW(registry().find("linear").infer(std::vector{x, weight}, {}), Error);
}

}  // namespace
}  // namespace ingot
