// rope against a double-precision reference and as its own inverse.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/ops/op_check.hpp"

namespace ingot {

void register_rope(Registry& registry);

namespace {

using test::HostTensor;
using test::OpCheck;
using test::Values;

const Registry& registry() {
  static const Registry* const filled = [] {
    auto* created = new Registry;
    register_rope(*created);
    return created;
  }();
  return *filled;
}

struct Case {
  DType dtype;
  std::int64_t batch;
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_size;
  std::int64_t direction;
};

Values rope_reference(const Case& c, const Values& inputs) {
  std::vector<double> y = inputs[0];
  const std::int64_t all_heads = c.heads + 2 * c.kv_heads;
  const std::int64_t half = c.head_size / 2;
  for (std::int64_t row = 0; row < c.batch * c.tokens; ++row) {
    for (std::int64_t h = 0; h < c.heads + c.kv_heads; ++h) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle =
            static_cast<double>(c.direction) * inputs[1][static_cast<std::size_t>(row)] *
            std::pow(500000.0, -2.0 * static_cast<double>(i) / static_cast<double>(c.head_size));
        const auto first =
            static_cast<std::size_t>(row * all_heads * c.head_size + h * c.head_size + i);
        const std::size_t second = first + static_cast<std::size_t>(half);
        y[first] = inputs[0][first] * std::cos(angle) - inputs[0][second] * std::sin(angle);
        y[second] = inputs[0][second] * std::cos(angle) + inputs[0][first] * std::sin(angle);
      }
    }
  }
  return {y};
}

OpCheck check_of(const Case& c) {
  std::mt19937 generator(9);
  const std::int64_t width = (c.heads + 2 * c.kv_heads) * c.head_size;
  std::vector<HostTensor> inputs;
  inputs.push_back(HostTensor::random({c.dtype, Shape{c.batch, c.tokens, width}}, generator));
  // Runs of positions that start anywhere, also far out, where angles must not lose digits.
  std::vector<double> positions;
  for (std::int64_t row = 0; row < c.batch * c.tokens; ++row) {
    const bool jump = row == 0 || generator() % 11 == 0;
    positions.push_back(jump ? static_cast<double>(generator() % 100000) : positions.back() + 1);
  }
  inputs.emplace_back(TensorType{DType::kI32, Shape{c.batch, c.tokens}}, positions);
  return {registry(),
          "rope",
          std::move(inputs),
          {{"heads", c.heads},
           {"kv_heads", c.kv_heads},
           {"direction", c.direction},
           {"base", 500000.0}},
          [c](Values& values) { return rope_reference(c, values); }};
}

class RopeTest : public testing::TestWithParam<Case> {};

TEST_P(RopeTest, ComputesTheReference) {
  test::check_forward(check_of(GetParam()));
}

TEST_P(RopeTest, BackwardAgreesWithFiniteDifferences) {
  test::check_backward(check_of(GetParam()), {.wanted = {0}});
}

INSTANTIATE_TEST_SUITE_P(Shapes, RopeTest,
                         testing::Values(Case{DType::kF32, 1, 1, 1, 1, 2, 1},
                                         Case{DType::kF32, 2, 77, 4, 2, 64, 1},
                                         Case{DType::kF32, 1, 18, 3, 3, 22, -1},
                                         Case{DType::kBf16, 2, 19, 4, 1, 80, 1},
                                         Case{DType::kBf16, 1, 5, 2, 2, 10, -1}));

TEST(Rope, TheOtherDirectionRestoresTheInput) {
  const OpCheck there = check_of({DType::kF32, 1, 12, 2, 1, 16, 1});
  std::vector<HostTensor> inputs = there.inputs;
  const auto rotated = test::run_op(registry(), "rope", inputs, there.attributes);
  Attributes back = there.attributes;
  back.set("direction", std::int64_t{-1});
  std::vector<HostTensor> rotated_inputs{rotated[0], inputs[1]};
  const auto restored = test::run_op(registry(), "rope", rotated_inputs, back);
  test::expect_close(restored[0], inputs[0].values(), 1e-6, "restored");
}

}  // namespace
}  // namespace ingot
