// add, cast and copy against their definition, on sizes around the vector length and the piece.
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

class Elementwise : public ::testing::Test {
 protected:
  Elementwise() { register_ops(registry_); }

  Registry registry_;
  std::mt19937 generator_{1};
};

TEST_F(Elementwise, AddIsTheSumAndHandsItsGradientToBoth) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t count : {1, 3, 17, 65, 257, 20000}) {
        const TensorType type{dtype, Shape{count}};
        const OpCheck check{
            registry_,
            "add",
            {HostTensor::random(type, generator_), HostTensor::random(type, generator_)},
            {},
            [](Values& in) {
              Values out = {in[0]};
              for (std::size_t i = 0; i < in[0].size(); ++i) out[0][i] += in[1][i];
              return out;
            }};
        check_forward(check);
        if (count < 300) check_backward(check, {.wanted = {0, 1}, .step = 1e-2});
      }
    }
  });
}

TEST_F(Elementwise, CastRoundsToNearestEvenAndBackIsExact) {
  for_each_instruction_set([&] {
    std::vector<double> values = {0.0,      -0.0,     1.0,       1.00390625, 1.01171875, 3.0e38,
                                  -2.5e-39, INFINITY, -INFINITY, NAN,        65504.0,    1e-30};
    std::uniform_real_distribution<double> uniform(-1e3, 1e3);
    for (int i = 0; i < 250; ++i) values.push_back(uniform(generator_));
    const TensorType type{DType::kF32, Shape{static_cast<std::int64_t>(values.size())}};
    std::vector<HostTensor> inputs = {HostTensor(type, values)};
    const auto halves = run_op(registry_, "cast", inputs, {{"dtype", std::string("bf16")}});
    ASSERT_EQ(halves[0].type().dtype, DType::kBf16);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Bf16 expected(inputs[0].as<float>()[i]);
      const Bf16 half = halves[0].as<Bf16>()[i];
      if (std::isnan(values[i])) {
        // Which one is the device's choice.
        EXPECT_TRUE(std::isnan(static_cast<float>(half)));
        continue;
      }
      EXPECT_EQ(half.bits, expected.bits) << values[i];
    }
    std::vector<HostTensor> back = {halves[0]};
    const auto floats = run_op(registry_, "cast", back, {{"dtype", std::string("f32")}});
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::isnan(values[i])) continue;
      EXPECT_EQ(std::bit_cast<std::uint32_t>(floats[0].as<float>()[i]),
                static_cast<std::uint32_t>(halves[0].as<Bf16>()[i].bits) << 16);
    }
  });
}

TEST_F(Elementwise, CastToItsOwnTypeAndCopyKeepEveryBit) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    std::vector<HostTensor> inputs = {HostTensor::random({dtype, Shape{5, 13}}, generator_)};
    const auto cast = run_op(registry_, "cast", inputs, {{"dtype", std::string(name_of(dtype))}});
    EXPECT_TRUE(cast[0].same_bits(inputs[0]));
    const auto copy = run_op(registry_, "copy", inputs, {});
    EXPECT_TRUE(copy[0].same_bits(inputs[0]));
  }
  std::vector<HostTensor> integers = {
      HostTensor::random({DType::kI64, Shape{30001}}, generator_, 0, 100)};
  EXPECT_TRUE(run_op(registry_, "copy", integers, {})[0].same_bits(integers[0]));
}

TEST_F(Elementwise, TheGradientOfACastIsCastBack) {
  const OpCheck check{registry_,
                      "cast",
                      {HostTensor::random({DType::kF32, Shape{33}}, generator_)},
                      {{"dtype", std::string("bf16")}},
                      [](Values& in) { return Values{in[0]}; },
                      1e-2};
  check_forward(check);
  check_backward(check, {.wanted = {0}, .step = 1e-2, .tolerance = 1e-2});
}

TEST_F(Elementwise, TensorsThatDoNotFitAreRefusedByName) {
  const TensorType a{DType::kF32, Shape{2, 3}};
  const TensorType b{DType::kF32, Shape{3, 2}};
  try {
    registry_.find("add").infer(std::vector{a, b}, {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInternal);
    EXPECT_NE(std::string(error.what()).find("'add'"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("f32 [3, 2]"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ingot::test
