// Training beside PyTorch: 100 steps from the weights, batches and learning rates that
// tests/golden/make_curves.py stored, against the losses and gradient norms that PyTorch got. A
// curve covers everything at once: forward, backward, clipping, AdamW and its decay groups; an
// error in any of them grows from step to step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/runtime/train/engine_fixture.hpp"
#include "tests/runtime/train/golden_file.hpp"

namespace ingot {
namespace {

constexpr std::size_t kSteps = 100;

struct Curve {
  std::vector<double> losses, norms;
};

Config config_of(const test::GoldenFile& file, const std::string& precision) {
  Config config;
  ModelConfig& model = config.model;
  if (file.has_attribute("hidden_layers")) {
    model.kind = "mlp";
    model.activation = "relu";
    model.hidden_layers = file.integer_list("hidden_layers");
    model.embedding = file.integer("embedding");
    model.positive_weight = file.number("positive_weight");
  } else {
    model.layers = file.integer("layers");
    model.width = file.integer("width");
    model.heads = file.integer("heads");
    model.kv_heads = file.integer("kv_heads");
    model.hidden = file.integer("hidden");
    model.context = file.integer("context");
    model.norm = file.text("norm");
    model.activation = file.text("activation");
    model.positions = file.text("positions");
    if (file.has_attribute("rope_base")) model.rope_base = file.number("rope_base");
    model.tied = file.integer("tied") != 0;
    model.bias = file.integer("bias") != 0;
    model.norm_epsilon = file.number("norm_epsilon");
  }
  config.batch.micro = file.integer("batch");
  config.train.precision = precision;
  config.optimizer.beta1 = file.number("beta1");
  config.optimizer.beta2 = file.number("beta2");
  config.optimizer.epsilon = file.number("epsilon");
  config.optimizer.weight_decay = file.number("weight_decay");
  config.optimizer.clip = file.number("clip");
  config.parallel.bucket = 1 << 14;  // several buckets even of these small models
  return config;
}

ModelData data_of(const test::GoldenFile& file) {
  if (!file.has_attribute("hidden_layers")) return {.vocabulary = file.integer("vocabulary")};
  ModelData data;
  data.features = file.integer("features");
  const std::vector<std::int64_t> categories = file.integer_list("categories");
  data.category_columns = static_cast<std::int64_t>(categories.size());
  for (const std::int64_t count : categories) data.category_rows += count;
  data.classes = file.integer("classes");
  return data;
}

/// Every parameter of the engine gets the stored weights of its name, and none is left over.
void set_weights(const test::GoldenFile& file, test::OneRank& rank) {
  const StoreLayout& layout = rank.engine->store().layout();
  const std::vector<std::string> names = file.names("weights");
  ASSERT_EQ(names.size(), layout.parameters.size());
  const std::span<float> weights = rank.flat(store::kMaster);
  for (const std::string& name : names) {
    const int p = layout.find(name);
    ASSERT_GE(p, 0) << "the model has no parameter " << name;
    const auto index = static_cast<std::size_t>(p);
    const std::vector<float> values = file.floats("weights/" + name);
    ASSERT_EQ(static_cast<std::int64_t>(values.size()), layout.parameters[index].shape.count())
        << name;
    std::ranges::copy(values, weights.begin() + layout.offsets[index]);
  }
  rank.changed(store::kMaster);
  rank.engine->store().refresh_weights(rank.engine->compute_stream());
}

/// The stored batches, one per step.
std::vector<test::RandomBatch> batches_of(const test::GoldenFile& file) {
  std::vector<test::RandomBatch> batches(kSteps);
  const auto rows = file.integer("batch");
  for (test::RandomBatch& batch : batches) {
    for (std::int64_t row = 0; row < rows; ++row) batch.samples.push_back(row);
  }
  const auto share = [&](const auto& values, auto member) {
    const std::size_t count = values.size() / kSteps;
    for (std::size_t step = 0; step < kSteps; ++step) {
      const auto first = values.begin() + static_cast<std::ptrdiff_t>(step * count);
      (batches[step].*member).assign(first, first + static_cast<std::ptrdiff_t>(count));
    }
  };
  using Batch = test::RandomBatch;
  if (file.has("batches/features")) {
    share(file.floats("batches/features"), &Batch::features);
    share(file.integers("batches/categories"), &Batch::categories);
    share(file.integers("batches/labels"), &Batch::labels);
    return batches;
  }
  share(file.integers("batches/tokens"), &Batch::tokens);
  share(file.integers("batches/targets"), &Batch::targets);
  const std::int64_t context = file.integer("context");
  for (Batch& batch : batches) {
    batch.documents.assign(batch.tokens.size(), 0);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int32_t t = 0; t < context; ++t) batch.positions.push_back(t);
    }
  }
  return batches;
}

Curve recorded(const test::GoldenFile& file) {
  return {file.doubles("curve/loss"), file.doubles("curve/gradient_norm")};
}

Curve train(const test::GoldenFile& file, const Config& config) {
  test::OneRank rank(config, data_of(file));
  set_weights(file, rank);
  Curve curve;
  if (::testing::Test::HasFatalFailure()) return curve;
  const std::vector<double> rates = file.doubles("curve/learning_rate");
  const std::vector<test::RandomBatch> batches = batches_of(file);
  for (std::size_t step = 0; step < kSteps; ++step) {
    StepScalars scalars;
    scalars.step = scalars.adam_step = static_cast<std::int64_t>(step) + 1;
    scalars.learning_rate = rates[step];
    scalars.clip_norm = config.optimizer.clip;
    scalars.counted = 0;
    rank.engine->begin_step(scalars);
    rank.engine->load(batches[step].tensors());
    rank.engine->add_counted(test::counted(batches[step]));
    rank.engine->run_micro(true);
    rank.engine->run_update();
    const StepScalars result = rank.engine->finish_step();
    curve.losses.push_back(result.loss_sum / result.counted);
    curve.norms.push_back(result.gradient_norm);
  }
  return curve;
}

struct Deviation {
  double relative = 0;
  std::size_t step = 0;  ///< counted from 1
};

Deviation worst(const std::vector<double>& ours, const std::vector<double>& expected) {
  Deviation result;
  EXPECT_EQ(ours.size(), expected.size());
  for (std::size_t step = 0; step < std::min(ours.size(), expected.size()); ++step) {
    const double relative = std::abs(ours[step] / expected[step] - 1);
    // Not `relative > result.relative`: a loss that is no number is the worst of all.
    if (!(relative <= result.relative)) result = {relative, step + 1};
  }
  return result;
}

class GoldenCurve : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenCurve()
      : file_(std::string(INGOT_SOURCE_DIR "/tests/golden/data/") + GetParam() + ".h5"),
        expected_(recorded(file_)) {}

  void expect_close(const Curve& curve, double loss_tolerance, double norm_tolerance) {
    ASSERT_EQ(expected_.losses.size(), kSteps);
    const Deviation loss = worst(curve.losses, expected_.losses);
    const Deviation norm = worst(curve.norms, expected_.norms);
    RecordProperty("loss_deviation", fmt::format("{:.2e} at step {}", loss.relative, loss.step));
    RecordProperty("norm_deviation", fmt::format("{:.2e} at step {}", norm.relative, norm.step));
    EXPECT_LE(loss.relative, loss_tolerance) << "loss, worst at step " << loss.step;
    EXPECT_LE(norm.relative, norm_tolerance) << "gradient norm, worst at step " << norm.step;
  }

  test::GoldenFile file_;
  Curve expected_;
};

TEST_P(GoldenCurve, IsRepeatedInF32) {
  expect_close(train(file_, config_of(file_, "f32")), 1e-4, 1e-3);
}

TEST_P(GoldenCurve, IsFollowedInBf16) {
  const Curve curve = train(file_, config_of(file_, "bf16"));
  const Deviation loss = worst(curve.losses, expected_.losses);
  RecordProperty("loss_deviation", fmt::format("{:.2e} at step {}", loss.relative, loss.step));
  EXPECT_LE(loss.relative, 2e-2) << "loss, worst at step " << loss.step;
}

/// The curve is worth nothing as evidence where it does not notice a small error.
TEST_P(GoldenCurve, NoticesASlightlyWrongOptimizer) {
  const auto deviation_with = [&](const auto& change) {
    Config config = config_of(file_, "f32");
    change(config);
    return worst(train(file_, config).losses, expected_.losses).relative;
  };
  EXPECT_GT(deviation_with([](Config& config) { config.optimizer.beta2 = 0.951; }), 1e-4);
  EXPECT_GT(deviation_with([](Config& config) { config.optimizer.weight_decay *= 1.05; }), 1e-4);
  EXPECT_GT(deviation_with([](Config& config) { config.optimizer.clip *= 1.02; }), 1e-4);
  EXPECT_GT(deviation_with([](Config& config) { config.optimizer.decay_embeddings = false; }),
            1e-4);
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenCurve,
                         ::testing::Values("gpt2", "llama", "mlp_binary", "mlp_classes"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace ingot
