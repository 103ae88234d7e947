// dropout: its documented mask element by element, the same mask in the backward and in any split
// into micro batches, and the statistics.
#include "ops/base/philox.hpp"
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

constexpr std::uint64_t kSeed = 0x1234567890abcdefULL;

class Dropout : public ::testing::Test {
 protected:
  Dropout() { register_ops(registry_); }

  static HostTensor scalars() {
    StepScalars step;
    step.seed = kSeed;
    return HostTensor::of_struct(step);
  }
  static Attributes attributes(double p, std::int64_t layer) {
    return {{"p", p}, {"layer", layer}};
  }
  OpCheck check(DType dtype, Shape shape, double p, std::int64_t layer) {
    const std::int64_t batch = shape[0];
    const std::int64_t per_sample = shape.count() / batch;
    std::vector<HostTensor> inputs = {
        HostTensor::random({dtype, shape}, generator_, 0.5, 1),
        HostTensor::random({DType::kI64, Shape{batch}}, generator_, 0, 1e12), scalars()};
    const auto reference = [=](Values& in) {
      Values out = {in[0]};
      for (std::size_t i = 0; i < out[0].size(); ++i) {
        const std::size_t sample = i / static_cast<std::size_t>(per_sample);
        const std::uint64_t element = i % static_cast<std::uint64_t>(per_sample);
        const auto words =
            philox(kSeed, RandomPurpose::kDropout, static_cast<std::uint64_t>(in[1][sample]),
                   (static_cast<std::uint64_t>(layer) << 40) + element / 4);
        const double uniform = static_cast<double>(uniform_float(words[element % 4]));
        out[0][i] = uniform >= p ? out[0][i] / (1 - p) : 0;
      }
      return out;
    };
    return {registry_, "dropout", inputs, attributes(p, layer), reference};
  }

  Registry registry_;
  std::mt19937 generator_{6};
};

TEST_F(Dropout, DropsWhatTheDocumentedDrawSays) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t columns : {1, 3, 17, 65, 257, 9001}) {
        const OpCheck use = check(dtype, Shape{3, columns}, 0.3, 5);
        const auto outputs = check_forward(use);
        check_backward(use, {.wanted = {0}, .step = 1e-2});
        // A tolerance could hide one wrong element of many.
        Values inputs = values_of(use.inputs);
        const std::vector<double> expected = use.reference(inputs)[0];
        const std::vector<double> actual = outputs[0].values();
        for (std::size_t i = 0; i < expected.size(); ++i) {
          ASSERT_EQ(actual[i] == 0, expected[i] == 0) << "element " << i;
        }
      }
    }
  });
}

TEST_F(Dropout, TheBackwardDropsTheSameElements) {
  OpCheck use = check(DType::kF32, Shape{4, 1000}, 0.5, 2);
  const auto y = run_op(registry_, "dropout", use.inputs, use.attributes);
  EagerBackward backward(registry_, "dropout", use.attributes, use.inputs, y,
                         {HostTensor::random(y[0].type(), generator_, 1, 2)}, {0});
  const std::vector<double> dx = backward.run().at(0).values();
  const std::vector<double> values = y[0].values();
  for (std::size_t i = 0; i < dx.size(); ++i) EXPECT_EQ(dx[i] == 0, values[i] == 0) << i;
}

TEST_F(Dropout, SplittingTheBatchChangesNoBit) {
  OpCheck whole = check(DType::kF32, Shape{4, 3, 41}, 0.2, 7);
  const auto y = run_op(registry_, "dropout", whole.inputs, whole.attributes);
  for (std::size_t sample = 0; sample < 4; ++sample) {
    HostTensor x({DType::kF32, Shape{1, 3, 41}});
    std::memcpy(x.data(), whole.inputs[0].as<float>() + sample * 123, 123 * sizeof(float));
    HostTensor index({DType::kI64, Shape{1}});
    *index.as<std::int64_t>() = whole.inputs[1].as<std::int64_t>()[sample];
    std::vector<HostTensor> inputs = {x, index, scalars()};
    const auto part = run_op(registry_, "dropout", inputs, whole.attributes);
    EXPECT_EQ(std::memcmp(part[0].data(), y[0].as<float>() + sample * 123, 123 * sizeof(float)), 0)
        << "sample " << sample;
  }
}

TEST_F(Dropout, DropsTheRequestedShareAndKeepsTheMean) {
  for (const double p : {0.0, 0.1, 0.5, 0.9}) {
    const std::vector<double> ones(1 << 18, 1);
    std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{4, 1 << 16}}, ones),
                                      HostTensor({DType::kI64, Shape{4}}, {0, 1, 2, 3}), scalars()};
    const auto y = run_op(registry_, "dropout", inputs, attributes(p, 0))[0].values();
    const auto count = static_cast<double>(y.size());
    const auto dropped = static_cast<double>(std::count(y.begin(), y.end(), 0.0));
    // Five standard deviations of a binomial share.
    EXPECT_NEAR(dropped / count, p, 5 * std::sqrt(p * (1 - p) / count)) << p;
    double sum = 0;
    for (const double value : y) sum += value;
    EXPECT_NEAR(sum / count, 1, 1e-6 + 5 * std::sqrt(p / (1 - p) / count)) << p;
  }
}

TEST_F(Dropout, LayersSamplesAndSeedsDrawDifferently) {
  const std::vector<double> ones(512, 1);
  const auto mask = [&](std::uint64_t seed, double sample, std::int64_t layer) {
    StepScalars step;
    step.seed = seed;
    std::vector<HostTensor> inputs = {HostTensor({DType::kF32, Shape{1, 512}}, ones),
                                      HostTensor({DType::kI64, Shape{1}}, {sample}),
                                      HostTensor::of_struct(step)};
    return run_op(registry_, "dropout", inputs, attributes(0.5, layer))[0].values();
  };
  const auto base = mask(1, 0, 0);
  EXPECT_EQ(base, mask(1, 0, 0));
  EXPECT_NE(base, mask(2, 0, 0));
  EXPECT_NE(base, mask(1, 1, 0));
  EXPECT_NE(base, mask(1, 0, 1));
}

}  // namespace
}  // namespace ingot::test
