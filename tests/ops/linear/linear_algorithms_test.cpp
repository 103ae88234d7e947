// How linear's products choose their algorithms on a GPU, and every way that the op goes when the
// library lacks an epilogue. Passed over on the CPU.
#include <gtest/gtest.h>

#include <string>

#include "ops/linear/matrix_algorithms.hpp"
#include "tests/ops/cuda_kernels/against_cpu.hpp"

namespace ingot {
namespace {

using test::HostTensor;

class LinearAlgorithmsTest : public test::AgainstCpu {
 protected:
  LinearAlgorithmsTest() { start(AlgorithmChoice::kHeuristic); }
  ~LinearAlgorithmsTest() override { start(AlgorithmChoice::kHeuristic); }

  static void start(AlgorithmChoice choice) {
    matrix_algorithms().clear();
    matrix_algorithms().set_choice(choice);
  }

  /// Forward and all gradients, against the CPU.
  void compare_all(DType dtype, std::int64_t rows, std::int64_t features, std::int64_t outputs) {
    const HostTensor x = random(dtype, {rows, features});
    const HostTensor weight = random(dtype, {outputs, features}, -0.2, 0.2);
    const HostTensor bias = random(dtype, {outputs});
    const HostTensor dy = random(dtype, {rows, outputs});
    // A bias that is added to a stored product is rounded once more.
    const double tolerance = dtype == DType::kBf16 ? 1.5e-2 : 0;
    for (const std::string activation : {"none", "gelu"}) {
      compare("linear", {x, weight, bias}, {{"activation", activation}}, tolerance);
      compare("linear", {x, weight, HostTensor()}, {{"activation", activation}}, tolerance);
    }
    compare("linear_backward_weight", {dy, x}, {{"bias", std::int64_t{1}}}, 2e-5);
    compare("linear_backward_weight", {dy, x}, {{"bias", std::int64_t{0}}}, 2e-5);
    compare("linear_backward_input", {dy, weight}, {});
    compare("linear_backward_gelu", {dy, weight, random(dtype, {rows, features}, -3, 3)}, {},
            tolerance);
  }

  /// Notes for every product with an epilogue that the library cannot do it; returns how many.
  static int remove_epilogues() {
    std::string text;
    int removed = 0;
    for (const auto& [key, algorithm] : matrix_algorithms().table()) {
      if (key.ends_with("plain")) continue;
      text += key + " = " + std::string(128, '0') + " 0\n";
      ++removed;
    }
    matrix_algorithms().import_text(text);
    return removed;
  }
};

TEST_F(LinearAlgorithmsTest, FusesEpiloguesWhereShapesAllowIt) {
  compare_all(DType::kBf16, 70, 48, 64);
  compare_all(DType::kF32, 70, 48, 64);
  compare_all(DType::kBf16, 9, 20, 12);
  bool fused_gelu = false, fused_gradient = false;
  for (const auto& [key, algorithm] : matrix_algorithms().table()) {
    EXPECT_TRUE(algorithm.exists()) << key;
    EXPECT_EQ(algorithm.seconds, 0) << key << " was measured";
    fused_gelu = fused_gelu || key.ends_with("64 x 70 x 48 TN bf16 to bf16, bias, gelu, auxiliary");
    fused_gradient = fused_gradient || key.ends_with("48 x 70 x 64 NN bf16 to bf16, gelu gradient");
  }
  EXPECT_TRUE(fused_gelu);
  EXPECT_TRUE(fused_gradient);
}

TEST_F(LinearAlgorithmsTest, GoesAnotherWayWhereTheLibraryLacksAnEpilogue) {
  for (const DType dtype : {DType::kBf16, DType::kF32}) {
    // Vectors and single elements, one chunk of rows and several, partly filled tiles of columns.
    compare_all(dtype, 70, 48, 64);
    compare_all(dtype, 300, 16, 272);
    compare_all(dtype, 131, 9, 77);
    compare_all(dtype, 5, 8, 3);
  }
  EXPECT_GT(remove_epilogues(), 10);
  for (const DType dtype : {DType::kBf16, DType::kF32}) {
    compare_all(dtype, 70, 48, 64);
    compare_all(dtype, 300, 16, 272);
    compare_all(dtype, 131, 9, 77);
    compare_all(dtype, 5, 8, 3);
  }
}

TEST_F(LinearAlgorithmsTest, MeasuresEachProductOnceWhenAsked) {
  start(AlgorithmChoice::kMeasure);
  compare_all(DType::kBf16, 70, 48, 64);
  const auto first = matrix_algorithms().table();
  EXPECT_FALSE(first.empty());
  for (const auto& [key, algorithm] : first) {
    EXPECT_TRUE(algorithm.exists()) << key;
    EXPECT_GT(algorithm.seconds, 0) << key << " was not measured";
  }
  compare_all(DType::kBf16, 70, 48, 64);
  EXPECT_EQ(matrix_algorithms().table(), first);
}

TEST_F(LinearAlgorithmsTest, RefusesAnAlgorithmThatIsNoneAndNamesTheProduct) {
  compare("linear_backward_input", {random(DType::kF32, {6, 5}), random(DType::kF32, {5, 4})}, {});
  const auto table = matrix_algorithms().table();
  ASSERT_EQ(table.size(), 1U);
  const std::string key = table.begin()->first;
  matrix_algorithms().import_text(key + " = " + std::string(128, '7') + " 0\n");
  try {
    compare("linear_backward_input", {random(DType::kF32, {6, 5}), random(DType::kF32, {5, 4})},
            {});
    FAIL() << "the algorithm was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kGpu);
    EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
  }
}

/// What ordered reduction builds on: adding to a gradient is the stored gradient, added.
TEST_F(LinearAlgorithmsTest, AddingAGradientGivesTheBitsOfTheStoredOneAdded) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const bool fused : {true, false}) {
      start(AlgorithmChoice::kHeuristic);
      std::vector<HostTensor> inputs{random(dtype, {150, 24}), random(dtype, {150, 40})};
      const Attributes attributes{{"bias", std::int64_t{1}}};
      const auto run = [&](const test::RunOptions& options) {
        return run_op(registry_, "linear_backward_weight", inputs, attributes, options);
      };
      auto stored = run({});
      if (!fused) {
        remove_epilogues();
        stored = run({});
      }
      test::RunOptions options{.accumulate = 3};
      for (const HostTensor& tensor : stored) {
        options.initial.push_back(HostTensor::random(tensor.type(), generator_));
      }
      const auto added = run(options);
      for (std::size_t o = 0; o < added.size(); ++o) {
        const auto before = options.initial[o].values(), gradient = stored[o].values();
        const auto after = added[o].values();
        for (std::size_t i = 0; i < after.size(); ++i) {
          ASSERT_EQ(static_cast<float>(after[i]),
                    static_cast<float>(before[i]) + static_cast<float>(gradient[i]))
              << "output " << o << " element " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ingot
