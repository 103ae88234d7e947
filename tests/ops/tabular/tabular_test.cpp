// tabular_input and its gradient against direct look-ups in double.
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

class Tabular : public ::testing::Test {
 protected:
  Tabular() { register_ops(registry_); }

  OpCheck check(DType dtype, std::int64_t rows, std::int64_t features, std::int64_t categories,
                std::int64_t width) {
    const auto reference = [=](Values& in) {
      Values out(1);
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t f = 0; f < features; ++f) {
          out[0].push_back(in[0][static_cast<std::size_t>(row * features + f)]);
        }
        for (std::int64_t k = 0; k < categories; ++k) {
          const double index = in[1][static_cast<std::size_t>(row * categories + k)];
          for (std::int64_t e = 0; e < width; ++e) {
            out[0].push_back(
                in[2][static_cast<std::size_t>(static_cast<std::int64_t>(index) * width + e)]);
          }
        }
      }
      return out;
    };
    return {registry_,
            "tabular_input",
            {HostTensor::random({DType::kF32, Shape{rows, features}}, generator_),
             HostTensor::random({DType::kI32, Shape{rows, categories}}, generator_, 0, 9),
             HostTensor::random({dtype, Shape{9, width}}, generator_)},
            {},
            reference};
  }

  Registry registry_;
  std::mt19937 generator_{8};
};

TEST_F(Tabular, PutsFeaturesBeforeTheVectorsOfTheCategories) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t width : {1, 3, 17}) {
        const OpCheck use = check(dtype, 37, 13, 4, width);
        check_forward(use);
        check_backward(use, {.wanted = {2}, .step = 1e-2});
      }
    }
  });
}

TEST_F(Tabular, WorksWithoutFeaturesAndWithoutCategories) {
  const OpCheck no_features = check(DType::kF32, 5, 0, 2, 3);
  check_forward(no_features);
  check_backward(no_features, {.wanted = {2}, .step = 1e-2});
  check_forward(check(DType::kF32, 5, 7, 0, 3));
}

TEST_F(Tabular, ACategoryOutsideTheTableIsBadData) {
  OpCheck use = check(DType::kF32, 2, 1, 2, 3);
  use.inputs[1].set_values({0, 1, 9, 2});
  try {
    run_op(registry_, "tabular_input", use.inputs, {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("index 9"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ingot::test
