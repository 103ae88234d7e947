// Choosing tokens: greedy, cut and drawn.
#include "runtime/generate/sampling.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// How often each token comes in `draws` positions.
std::map<std::uint32_t, int> counts(const std::vector<float>& logits,
                                    const SamplingOptions& options, int draws) {
  std::map<std::uint32_t, int> result;
  for (int position = 0; position < draws; ++position) {
    ++result[sample_token(logits, options, static_cast<std::uint64_t>(position))];
  }
  return result;
}

ExitCode code_of(const std::vector<float>& logits, const SamplingOptions& options) {
  try {
    sample_token(logits, options, 0);
  } catch (const Error& error) {
    return error.code();
  }
  return ExitCode::kDone;
}

TEST(Sampling, AtTemperatureZeroTakesTheFirstOfTheMostProbable) {
  const std::vector<float> logits = {1, 5, 5, -2};
  for (std::uint64_t position = 0; position < 50; ++position) {
    EXPECT_EQ(sample_token(logits, {.temperature = 0}, position), 1U);
  }
}

TEST(Sampling, FollowsTheSoftmaxAtEachTemperature) {
  const std::vector<float> logits = {0.0F, 1.0F, 2.0F, -1.0F};
  for (const double temperature : {0.5, 1.0, 2.0}) {
    double total = 0;
    for (const float logit : logits) total += std::exp(logit / temperature);
    const int draws = 40000;
    const auto found = counts(logits, {.temperature = temperature, .seed = 3}, draws);
    for (std::uint32_t token = 0; token < 4; ++token) {
      const double probability = std::exp(logits[token] / temperature) / total;
      const double deviation = std::sqrt(draws * probability * (1 - probability));
      const auto entry = found.find(token);
      const int count = entry == found.end() ? 0 : entry->second;
      EXPECT_NEAR(count, draws * probability, 4.5 * deviation + 1)
          << "token " << token << " at temperature " << temperature;
    }
  }
}

TEST(Sampling, TopKDrawsFromTheKMostProbable) {
  const std::vector<float> logits = {1.0F, 1.2F, 1.1F, 1.2F, 0.9F};
  const auto found = counts(logits, {.top_k = 3}, 2000);
  EXPECT_EQ(found.size(), 3U);
  EXPECT_TRUE(found.contains(1) && found.contains(2) && found.contains(3));
  EXPECT_EQ(counts(logits, {.top_k = 1}, 50).begin()->first, 1U);
  EXPECT_EQ(counts(logits, {.top_k = 99}, 2000).size(), 5U);
}

TEST(Sampling, TopPDrawsFromTheFewestThatReachTheProbability) {
  // Probabilities 0.5, 0.3, 0.15 and 0.05, out of order.
  const std::vector<float> logits = {std::log(0.15F), std::log(0.5F), std::log(0.05F),
                                     std::log(0.3F)};
  EXPECT_EQ(counts(logits, {.top_p = 0.4}, 500).size(), 1U);
  const auto two = counts(logits, {.top_p = 0.7}, 4000);
  EXPECT_EQ(two.size(), 2U);
  EXPECT_NEAR(two.at(1), 4000 * 0.625, 150) << "what is left is normalised again";
  EXPECT_EQ(counts(logits, {.top_p = 0.9}, 2000).size(), 3U);
  EXPECT_EQ(counts(logits, {.top_p = 1e-9}, 50).size(), 1U) << "one token always remains";
}

TEST(Sampling, IsAFunctionOfSeedSequenceAndPosition) {
  const std::vector<float> logits(100, 0.0F);
  const auto text = [&](std::uint64_t seed, std::uint64_t sequence) {
    std::vector<std::uint32_t> tokens;
    for (std::uint64_t position = 0; position < 20; ++position) {
      tokens.push_back(sample_token(logits, {.seed = seed}, position, sequence));
    }
    return tokens;
  };
  EXPECT_EQ(text(1, 0), text(1, 0));
  EXPECT_NE(text(1, 0), text(2, 0));
  EXPECT_NE(text(1, 0), text(1, 1));
}

TEST(Sampling, NeverDrawsAnExcludedToken) {
  const std::vector<float> logits = {-kInfinity, 0.0F, -kInfinity, -1000.0F};
  const auto found = counts(logits, {}, 500);
  EXPECT_EQ(found.size(), 1U);
  EXPECT_EQ(found.begin()->first, 1U);
  EXPECT_EQ(counts({-kInfinity, 3.0F}, {.top_k = 5, .top_p = 0.9999}, 50).begin()->first, 1U);
}

TEST(Sampling, TakesExtremeLogitsAndTemperatures) {
  EXPECT_EQ(sample_token(std::vector<float>{3e38F, -3e38F}, {.temperature = 1e-300}, 0), 0U);
  EXPECT_EQ(counts({0.0F, 1.0F}, {.temperature = 1e300}, 500).size(), 2U);
  EXPECT_EQ(sample_token(std::vector<float>{-7.0F}, {}, 9), 0U);
}

TEST(Sampling, RefusesBrokenLogitsAndOptions) {
  EXPECT_EQ(code_of({0.0F, std::nanf("")}, {}), ExitCode::kNonFinite);
  EXPECT_EQ(code_of({0.0F, kInfinity}, {.temperature = 0}), ExitCode::kNonFinite);
  EXPECT_EQ(code_of({-kInfinity, -kInfinity}, {}), ExitCode::kNonFinite);
  EXPECT_EQ(code_of({0.0F}, {.temperature = -1}), ExitCode::kUsage);
  EXPECT_EQ(code_of({0.0F}, {.temperature = std::nan("")}), ExitCode::kUsage);
  EXPECT_EQ(code_of({0.0F}, {.top_k = -1}), ExitCode::kUsage);
  EXPECT_EQ(code_of({0.0F}, {.top_p = 0}), ExitCode::kUsage);
  EXPECT_EQ(code_of({0.0F}, {.top_p = 1.5}), ExitCode::kUsage);
}

}  // namespace
}  // namespace ingot
