// The losses and their gradients against the formulas in double, up to the vocabulary of GPT-2.
#include <numeric>

#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

Attributes with_gradient(std::int64_t gradient) {
  return {{"gradient", gradient}};
}

Reference cross_entropy(std::int64_t columns, bool gradient) {
  return [columns, gradient](Values& in) {
    const auto width = static_cast<std::size_t>(columns);
    Values out(gradient ? 2 : 1);
    for (std::size_t row = 0; row < in[1].size(); ++row) {
      const double* x = in[0].data() + row * width;
      const bool counted = in[1][row] >= 0;
      const double largest = *std::max_element(x, x + width);
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) sum += std::exp(x[i] - largest);
      const auto target = static_cast<std::size_t>(std::max(in[1][row], 0.0));
      out[0].push_back(counted ? largest + std::log(sum) - x[target] : 0);
      for (std::size_t i = 0; gradient && i < width; ++i) {
        const double probability = std::exp(x[i] - largest) / sum;
        out[1].push_back(counted ? probability - (i == target ? 1 : 0) : 0);
      }
    }
    return out;
  };
}

class CrossEntropy : public ::testing::Test {
 protected:
  CrossEntropy() { register_ops(registry_); }

  OpCheck check(DType dtype, std::int64_t rows, std::int64_t columns, bool gradient) {
    // Targets of -1 are not counted.
    return {registry_,
            "cross_entropy",
            {HostTensor::random({dtype, Shape{rows, columns}}, generator_, -8, 8),
             HostTensor::random({DType::kI32, Shape{rows}}, generator_, -1,
                                static_cast<double>(columns))},
            with_gradient(gradient ? 1 : 0),
            cross_entropy(columns, gradient)};
  }

  Registry registry_;
  std::mt19937 generator_{5};
};

TEST_F(CrossEntropy, MatchesTheFormula) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t columns : {1, 3, 17, 65, 257, 5000}) {
        check_forward(check(dtype, 9, columns, true));
        check_forward(check(dtype, 9, columns, false));
      }
    }
  });
}

TEST_F(CrossEntropy, MatchesTheFormulaOverTheVocabularyOfGpt2) {
  OpCheck f32 = check(DType::kF32, 3, 50257, true);
  f32.tolerance = 2e-6;
  check_forward(f32);
  check_forward(check(DType::kBf16, 3, 50257, true));
}

TEST_F(CrossEntropy, ItsGradientAgreesWithFiniteDifferencesOfTheSummedLoss) {
  std::vector<HostTensor> inputs = check(DType::kF32, 6, 33, true).inputs;
  const Attributes attributes = with_gradient(1);  // the builder keeps a reference
  const auto outputs = run_op(registry_, "cross_entropy", inputs, attributes);
  EagerBackward backward(registry_, "cross_entropy", attributes, inputs, outputs,
                         {HostTensor({DType::kF32, Shape{6}}, std::vector<double>(6, 1)), {}}, {0});
  const std::vector<double> gradient = backward.run().at(0).values();
  const Reference reference = cross_entropy(33, false);
  const auto loss = [&](std::size_t element, double shift) {
    Values values = values_of(inputs);
    values[0][element] += shift;
    const Values losses = reference(values);
    return std::accumulate(losses[0].begin(), losses[0].end(), 0.0);
  };
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    EXPECT_NEAR(gradient[i], (loss(i, 1e-4) - loss(i, -1e-4)) / 2e-4, 1e-5) << i;
  }
}

TEST_F(CrossEntropy, HandlesExtremeLogits) {
  for_each_instruction_set([&] {
    std::vector<double> x(5000, -INFINITY);
    x[4000] = 1e4;
    x[17] = 1e4 - 1;
    std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{1, 5000}}, x),
                                      HostTensor({DType::kI32, Shape{1}}, {17})};
    const auto outputs = run_op(registry_, "cross_entropy", inputs, with_gradient(1));
    EXPECT_NEAR(outputs[0].values()[0], 1 + std::log1p(std::exp(-1)), 1e-6);
    const double probability = 1 / (1 + std::exp(1));
    EXPECT_NEAR(outputs[1].values()[17], probability - 1, 1e-6);
    EXPECT_NEAR(outputs[1].values()[4000], 1 - probability, 1e-6);
    EXPECT_EQ(outputs[1].values()[0], 0);
  });
}

TEST_F(CrossEntropy, ALogitThatIsNotANumberReachesTheLoss) {
  for_each_instruction_set([&] {
    for (const std::size_t at : {std::size_t{0}, std::size_t{2500}, std::size_t{4999}}) {
      std::vector<double> x(5000, 0.5);
      x[at] = NAN;
      std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{1, 5000}}, x),
                                        HostTensor({DType::kI32, Shape{1}}, {17})};
      const auto outputs = run_op(registry_, "cross_entropy", inputs, with_gradient(1));
      EXPECT_TRUE(std::isnan(outputs[0].values()[0])) << at;
    }
  });
}

TEST_F(CrossEntropy, ATargetBeyondTheClassesIsBadData) {
  std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{1, 2}}, {0, 0}),
                                    HostTensor({DType::kI32, Shape{1}}, {2})};
  try {
    run_op(registry_, "cross_entropy", inputs, with_gradient(0));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
  }
}

TEST_F(CrossEntropy, BinaryLossMatchesTheFormula) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t rows : {1, 3, 17, 1500}) {
      const double weight = 2.5;
      const auto reference = [weight](Values& in) {
        Values out(2);
        for (std::size_t i = 0; i < in[0].size(); ++i) {
          const double p = 1 / (1 + std::exp(-in[0][i]));
          const bool positive = in[1][i] == 1;
          const bool counted = in[1][i] >= 0;
          out[0].push_back(!counted ? 0 : positive ? -weight * std::log(p) : -std::log1p(-p));
          out[1].push_back(!counted ? 0 : positive ? weight * (p - 1) : p);
        }
        return out;
      };
      check_forward({registry_,
                     "binary_cross_entropy",
                     {HostTensor::random({dtype, Shape{rows, 1}}, generator_, -8, 8),
                      HostTensor::random({DType::kI32, Shape{rows}}, generator_, -1, 2)},
                     {{"gradient", std::int64_t{1}}, {"positive_weight", weight}},
                     reference});
    }
  }
}

TEST_F(CrossEntropy, BinaryLossStaysFiniteForLargeLogitsAndRefusesOtherLabels) {
  const Attributes attributes{{"gradient", std::int64_t{1}}, {"positive_weight", 1.0}};
  std::vector<HostTensor> inputs = {
      HostTensor({DType::kF32, Shape{4, 1}}, {1000, -1000, 1000, -1000}),
      HostTensor({DType::kI32, Shape{4}}, {1, 1, 0, 0})};
  const auto outputs = run_op(registry_, "binary_cross_entropy", inputs, attributes);
  EXPECT_EQ(outputs[0].values(), (std::vector<double>{0, 1000, 1000, 0}));
  EXPECT_EQ(outputs[1].values(), (std::vector<double>{0, -1, 1, 0}));
  inputs[1].set_values({1, 0, 2, 0});
  EXPECT_THROW(run_op(registry_, "binary_cross_entropy", inputs, attributes), Error);
}

TEST_F(CrossEntropy, LossSumsAddEachSampleInIndexOrder) {
  std::vector<HostTensor> inputs = {
      HostTensor::random({DType::kF32, Shape{5, 3, 700}}, generator_)};
  const std::vector<double> losses = inputs[0].values();
  for (const int threads : {1, 3}) {
    const auto sums = run_op(registry_, "loss_sums", inputs, {}, {.threads = threads})[0].values();
    for (std::size_t sample = 0; sample < 5; ++sample) {
      double expected = 0;
      for (std::size_t i = 0; i < 2100; ++i) expected += losses[sample * 2100 + i];
      EXPECT_EQ(sums[sample], expected);
    }
  }
}

}  // namespace
}  // namespace ingot::test
