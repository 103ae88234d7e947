#include "runtime/generate/generator.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/runtime/train/engine_fixture.hpp"

namespace ingot {
namespace {

constexpr std::int64_t kVocabulary = 29;

/// -log softmax(logits)[target]
double loss_of(std::span<const float> logits, std::int32_t target) {
  double largest = -INFINITY;
  for (const float logit : logits) largest = std::max(largest, double(logit));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum) - logits[std::size_t(target)];
}

class GeneratorOfModel : public ::testing::TestWithParam<bool> {
 protected:
  GeneratorOfModel() : config_(test::tiny_gpt(GetParam())) {
    config_.batch.micro = 1;
    config_.model.context = 40;
    test::register_test_ops(registry_);
    // Large weights, so that logits differ clearly between positions.
    config_.model.init_std = 0.3;
  }
  Generator make() {
    Generator generator(config_.model, data_, DType::kF32, registry_, device_);
    generator.store().initialise(3);
    generator.weights_changed();
    return generator;
  }
  std::vector<std::uint32_t> tokens(std::size_t count) const {
    std::vector<std::uint32_t> result;
    for (std::size_t i = 0; i < count; ++i) result.push_back((i * i + 3 * i + 1) % kVocabulary);
    return result;
  }
  Config config_;
  ModelData data_{.vocabulary = kVocabulary};
  Registry registry_;
  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_ = test::make_device(cpu_device_, 1);
};

TEST_P(GeneratorOfModel, DecodesWithACacheWhatTheFullForwardComputes) {
  // The evaluation program's loss of one target at each position, against the cached logits.
  config_.run.seed = 3;
  test::OneRank rank(config_, data_);
  Generator generator = make();
  const std::vector<std::uint32_t> text = tokens(40);
  test::RandomBatch batch = test::random_tokens(1, 40, kVocabulary, 1);
  for (std::size_t t = 0; t < 40; ++t) {
    batch.tokens[t] = static_cast<std::int32_t>(text[t]);
    batch.positions[t] = static_cast<std::int32_t>(t);
  }
  for (std::size_t t = 0; t < 40; ++t) {
    std::fill(batch.targets.begin(), batch.targets.end(), -1);
    batch.targets[t] = static_cast<std::int32_t>((t * 5) % kVocabulary);
    const double full = rank.evaluate(batch);
    const double cached = loss_of(generator.feed(std::span(&text[t], 1)), batch.targets[t]);
    EXPECT_NEAR(cached, full, 1e-4 * (1 + full)) << "position " << t;
  }
}

TEST_P(GeneratorOfModel, GivesTheSameLogitsHoweverThePromptIsCut) {
  const std::vector<std::uint32_t> text = tokens(37);
  Generator whole = make();
  const auto expected = whole.feed(text);
  for (const std::size_t piece : {1, 5, 16, 20}) {
    Generator cut = make();
    std::span<const float> logits;
    for (std::size_t at = 0; at < text.size(); at += piece) {
      logits = cut.feed(std::span(text).subspan(at, std::min(piece, text.size() - at)));
    }
    for (std::size_t i = 0; i < logits.size(); ++i) {
      EXPECT_NEAR(logits[i], expected[i], 1e-4) << "pieces of " << piece;
    }
  }
}

TEST_P(GeneratorOfModel, GoesOnWithTheNewerHalfOfAFullContext) {
  Generator generator = make();
  const std::vector<std::uint32_t> text = tokens(41);
  generator.feed(std::span(text).first(40));
  const auto logits = generator.feed(std::span(text).last(1));
  EXPECT_EQ(generator.length(), 21);
  const std::vector<float> slid(logits.begin(), logits.end());
  Generator fresh = make();
  const auto expected = fresh.feed(std::span(text).last(21));
  for (std::size_t i = 0; i < slid.size(); ++i) EXPECT_NEAR(slid[i], expected[i], 1e-4);
}

TEST_P(GeneratorOfModel, RefusesTokensOutsideTheVocabulary) {
  Generator generator = make();
  const std::uint32_t token = kVocabulary;
  EXPECT_THROW(generator.feed(std::span(&token, 1)), Error);
}

INSTANTIATE_TEST_SUITE_P(Models, GeneratorOfModel, ::testing::Bool(),
                         [](const auto& model) { return model.param ? "llama" : "gpt2"; });

}  // namespace
}  // namespace ingot
