#include "runtime/train/engine.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include "tests/runtime/train/engine_fixture.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kVocabulary = 29;

struct ModelCase {
  const char* name;
  bool llama;
  bool documents;
  double dropout;
};

class EngineOfModel : public ::testing::TestWithParam<ModelCase> {
 protected:
  static Config config() {
    Config result = test::tiny_gpt(GetParam().llama);
    result.model.document_mask = GetParam().documents;
    result.model.dropout = GetParam().dropout;
    return result;
  }
  static ModelData data() { return {.vocabulary = kVocabulary}; }
  static test::RandomBatch batch(unsigned seed, std::int64_t rows = 3, std::int64_t first = 0) {
    return test::random_tokens(rows, 12, kVocabulary, seed, first);
  }
};

std::vector<float> copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

void expect_same_bits(std::span<const float> a, std::span<const float> b, const char* what) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << what;
}

TEST_P(EngineOfModel, HasTheGradientOfItsLoss) {
  if (GetParam().dropout > 0) return;  // evaluation has no dropout to compare with
  test::OneRank rank(config(), data());
  const test::RandomBatch input = batch(1);
  rank.gradients({input});
  const std::vector<float> gradient = copy(rank.flat(store::kGradients));
  const std::vector<float> weights = copy(rank.flat(store::kMaster));
  const StoreLayout& layout = rank.engine->store().layout();
  // Per parameter: the derivative along its own gradient is the gradient's squared length.
  for (std::size_t p = 0; p < layout.parameters.size(); ++p) {
    const auto first = static_cast<std::size_t>(layout.offsets[p]);
    const auto count = static_cast<std::size_t>(layout.parameters[p].shape.count());
    double squared = 0;
    for (std::size_t e = first; e < first + count; ++e)
      squared += double(gradient[e]) * gradient[e];
    ASSERT_GT(squared, 0) << layout.parameters[p].name;
    const double step = 2e-2 / std::sqrt(squared);
    const auto loss_at = [&](double along) {
      auto values = rank.flat(store::kMaster);
      for (std::size_t e = first; e < first + count; ++e) {
        values[e] = static_cast<float>(weights[e] + along * step * gradient[e]);
      }
      rank.changed(store::kMaster);
      const double loss = rank.evaluate(input);
      std::copy(weights.begin(), weights.end(), values.begin());
      rank.changed(store::kMaster);
      return loss;
    };
    const double derivative = (loss_at(1) - loss_at(-1)) / (2 * step);
    EXPECT_NEAR(derivative / squared, 1.0, 2e-2) << layout.parameters[p].name;
  }
}

TEST_P(EngineOfModel, RecomputesActivationsWithoutChangingABit) {
  std::vector<std::vector<float>> gradients;
  std::vector<double> losses;
  std::vector<std::int64_t> memory;
  for (const char* mode : {"none", "layer", "attention"}) {
    Config with_mode = config();
    with_mode.model.recompute = mode;
    test::OneRank rank(with_mode, data());
    losses.push_back(rank.gradients({batch(1)}));
    gradients.push_back(copy(rank.flat(store::kGradients)));
    memory.push_back(rank.engine->programs().front()->activation_bytes);
  }
  for (std::size_t mode = 1; mode < gradients.size(); ++mode) {
    EXPECT_EQ(losses[mode], losses[0]);
    expect_same_bits(gradients[mode], gradients[0], mode == 1 ? "layer" : "attention");
    EXPECT_LT(memory[mode], memory[0]) << "recomputation saves memory";
  }
}

TEST_P(EngineOfModel, GivesTheSameBitsOnAnyNumberOfThreads) {
  test::OneRank one(config(), data(), 1, 1);
  test::OneRank three(config(), data(), 1, 3);
  EXPECT_EQ(one.gradients({batch(1)}), three.gradients({batch(1)}));
  expect_same_bits(one.flat(store::kGradients), three.flat(store::kGradients), "gradients");
}

TEST_P(EngineOfModel, AccumulatesMicroBatchesToTheGradientOfOneBigBatch) {
  Config big = config();
  big.batch.micro = 6;
  test::OneRank whole(big, data());
  test::OneRank parts(config(), data(), 2);
  test::RandomBatch joined = batch(1);
  const test::RandomBatch second = batch(2, 3, 3);
  const double loss_parts = parts.gradients({joined, second});
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(joined.tokens, second.tokens);
  append(joined.targets, second.targets);
  append(joined.positions, second.positions);
  append(joined.documents, second.documents);
  append(joined.samples, second.samples);
  const double loss_whole = whole.gradients({joined});
  EXPECT_NEAR(loss_parts, loss_whole, 1e-5 * std::abs(loss_whole));
  const auto a = parts.flat(store::kGradients);
  const auto b = whole.flat(store::kGradients);
  double difference = 0;
  double norm = 0;
  for (std::size_t e = 0; e < a.size(); ++e) {
    difference += std::pow(double(a[e]) - b[e], 2);
    norm += std::pow(double(b[e]), 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-5);
}

TEST_P(EngineOfModel, TrainsInBf16CloseToF32) {
  std::vector<double> last;
  for (const char* precision : {"f32", "bf16"}) {
    Config with_precision = config();
    with_precision.train.precision = precision;
    test::OneRank rank(with_precision, data());
    double loss = 0;
    for (int step = 1; step <= 30; ++step) {
      StepScalars scalars;
      scalars.seed = 7;
      scalars.step = scalars.adam_step = step;
      scalars.learning_rate = 3e-3;
      scalars.clip_norm = 1;
      scalars.counted = 0;
      rank.engine->begin_step(scalars);
      rank.engine->load(batch(1).tensors());
      rank.engine->add_counted(test::counted(batch(1)));
      rank.engine->run_micro(true);
      rank.engine->run_update();
      const StepScalars result = rank.engine->finish_step();
      loss = result.loss_sum / result.counted;
    }
    last.push_back(loss);
  }
  EXPECT_LT(last[0], 0.8 * std::log(double(kVocabulary))) << "it learns its one batch";
  EXPECT_NEAR(last[1], last[0], 4e-2 * last[0]);
}

TEST_P(EngineOfModel, TellsWhenEachOpRanWithoutChangingABit) {
  test::OneRank plain(config(), data());
  test::OneRank timed(config(), data());
  StepTrace trace(1, 0, "here", {"compute", "communication"});
  const auto step = [&](test::OneRank& rank) {
    StepScalars scalars;
    scalars.seed = 7;
    scalars.counted = 0;
    scalars.learning_rate = 1e-3;
    rank.engine->begin_step(scalars);
    rank.engine->load(batch(1).tensors());
    rank.engine->add_counted(test::counted(batch(1)));
    rank.engine->run_micro(true);
    rank.engine->run_update();
    rank.engine->finish_step();
  };
  step(plain);
  timed.engine->trace_into(&trace);
  step(timed);
  expect_same_bits(timed.flat(store::kMaster), plain.flat(store::kMaster), "weights");
  std::size_t ops = 0;
  for (const Program* program : timed.engine->programs()) {
    if (program->name != "evaluate") ops += program->instructions.size();
  }
  const std::vector<TraceSpan>& spans = trace.spans();
  ASSERT_EQ(spans.size(), ops) << "one rank has nothing but ops";
  for (std::size_t i = 0; i < spans.size(); ++i) {
    EXPECT_LE(spans[i].begin, spans[i].end) << spans[i].name;
    if (i > 0) {
      EXPECT_LE(spans[i - 1].end, spans[i].begin) << spans[i].name;
    }
  }
  EXPECT_EQ(spans.front().category, "forward");
  EXPECT_EQ(spans.back().category, "update");
  // Later steps are not traced.
  timed.engine->trace_into(nullptr);
  step(timed);
  EXPECT_EQ(trace.spans().size(), ops);
}

/// Holds a stream until the flag is set.
void wait_for(void* flag) {
  while (!static_cast<std::atomic<bool>*>(flag)->load()) std::this_thread::yield();
}

TEST(EngineUpdate, WaitsForWhatReadsTheStateAndNothingElseDoes) {
  test::OneRank rank(test::tiny_gpt(false), {.vocabulary = kVocabulary});
  const std::vector<float> before = copy(rank.flat(store::kMaster));
  const TensorView& master = rank.engine->memory().view(store::kMaster);
  const Buffer seen = rank.device.allocate_host(master.type.bytes(), "what a reader sees");
  const auto reader = rank.device.create_stream("reader");
  const auto read = rank.device.create_event();
  const auto updated = rank.device.create_event();
  std::atomic<bool> may_read = false;
  reader->call(wait_for, &may_read);
  rank.device.copy(*reader, seen.data(), master.data, master.type.bytes());
  reader->record(*read);
  rank.engine->update_after(*read);
  const auto step = [&] {
    const test::RandomBatch batch = test::random_tokens(3, 12, kVocabulary, 1);
    StepScalars scalars;
    scalars.seed = 7;
    scalars.learning_rate = 1e-3;
    rank.engine->begin_step(scalars);
    rank.engine->load(batch.tensors());
    rank.engine->add_counted(test::counted(batch));
    rank.engine->run_micro(true);
    rank.engine->compute_stream().synchronize();
    rank.engine->run_update();
  };
  step();
  rank.engine->compute_stream().record(*updated);
  // An update that does not wait is done within these.
  for (int i = 0; i < 20000 && !updated->done(); ++i) std::this_thread::yield();
  EXPECT_FALSE(updated->done());
  may_read = true;
  rank.engine->finish_step();
  reader->synchronize();
  expect_same_bits({static_cast<const float*>(seen.data()), before.size()}, before, "weights");
  const std::vector<float> after = copy(rank.flat(store::kMaster));
  EXPECT_NE(after, before);
  // Once only: the reader reads again, and nothing is said of it.
  may_read = false;
  reader->call(wait_for, &may_read);
  reader->record(*read);
  step();
  rank.engine->finish_step();
  may_read = true;
  reader->synchronize();
  EXPECT_NE(copy(rank.flat(store::kMaster)), after);
}

INSTANTIATE_TEST_SUITE_P(Models, EngineOfModel,
                         ::testing::Values(ModelCase{"gpt2", false, false, 0},
                                           ModelCase{"gpt2_documents", false, true, 0},
                                           ModelCase{"gpt2_dropout", false, false, 0.2},
                                           ModelCase{"llama", true, false, 0},
                                           ModelCase{"llama_documents", true, true, 0}),
                         [](const auto& model) { return model.param.name; });

TEST(EngineUpdate, LeavesEverythingAsItIsWhenTheGradientIsNotFinite) {
  test::OneRank rank(test::tiny_gpt(false), {.vocabulary = kVocabulary});
  rank.gradients({test::random_tokens(3, 12, kVocabulary, 1)});
  rank.flat(store::kGradients)[5] = std::nanf("");
  rank.changed(store::kGradients);
  const std::vector<float> before = copy(rank.flat(store::kMaster));
  rank.engine->run_update();
  const StepScalars result = rank.engine->finish_step();
  EXPECT_EQ(result.skip, 1);
  expect_same_bits(rank.flat(store::kMaster), before, "weights");
  for (const float m : rank.flat(store::kMoment1)) ASSERT_EQ(m, 0.0F);
}

}  // namespace
}  // namespace ingot
