// Choosing the next token from a model's logits. Probabilities are summed in f64 in a fixed order.
#include "runtime/generate/sampling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "ops/base/error.hpp"
#include "ops/base/philox.hpp"

namespace ingot {
namespace {

/// The most probable token; checks every logit on the way.
std::uint32_t greedy(std::span<const float> logits) {
  ensure(!logits.empty(), "logits of at least one token");
  std::size_t best = 0;
  for (std::size_t token = 0; token < logits.size(); ++token) {
    const float logit = logits[token];
    if (std::isnan(logit) || logit == std::numeric_limits<float>::infinity()) {
      fail(ExitCode::kNonFinite,
           "the logit of token {} is {}: the model's weights are broken or training diverged",
           token, logit);
    }
    if (logit > logits[best]) best = token;
  }
  if (std::isinf(logits[best])) {
    fail(ExitCode::kNonFinite, "every one of {} logits is minus infinity: there is nothing to draw",
         logits.size());
  }
  return static_cast<std::uint32_t>(best);
}

/// Token ids that may be drawn; the most probable first where options.top_k or top_p need that.
std::vector<std::uint32_t> candidates(std::span<const float> logits,
                                      const SamplingOptions& options) {
  std::vector<std::uint32_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0U);
  const auto more_probable = [&](std::uint32_t left, std::uint32_t right) {
    return logits[left] != logits[right] ? logits[left] > logits[right] : left < right;
  };
  const auto limit = static_cast<std::size_t>(options.top_k);
  if (limit > 0 && limit < tokens.size()) {
    const auto cut = tokens.begin() + static_cast<std::ptrdiff_t>(limit);
    std::nth_element(tokens.begin(), cut, tokens.end(), more_probable);
    tokens.resize(limit);
  }
  // Sorted also after top_k alone: nth_element's order is the library's own affair.
  if (limit > 0 || options.top_p < 1) std::sort(tokens.begin(), tokens.end(), more_probable);
  return tokens;
}

}  // namespace

void check_sampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    fail(ExitCode::kUsage, "temperature is {}, expected 0 (most probable token) or more",
         options.temperature);
  }
  if (options.top_k < 0) {
    fail(ExitCode::kUsage, "top-k is {}, expected 0 (all tokens) or more", options.top_k);
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    fail(ExitCode::kUsage, "top-p is {}, expected more than 0 and at most 1", options.top_p);
  }
}

std::uint32_t sample_token(std::span<const float> logits, const SamplingOptions& options,
                           std::uint64_t position, std::uint64_t sequence) {
  check_sampling(options);
  const std::uint32_t best = greedy(logits);
  if (options.temperature == 0) return best;
  std::vector<std::uint32_t> tokens = candidates(logits, options);
  // Weights are relative to the most probable token's 1, so nothing overflows.
  std::vector<double> weights;
  weights.reserve(tokens.size());
  double total = 0;
  for (const std::uint32_t token : tokens) {
    const double difference = double{logits[token]} - double{logits[best]};
    weights.push_back(std::exp(difference / options.temperature));
    total += weights.back();
  }
  if (options.top_p < 1) {
    const double wanted = options.top_p * total;
    std::size_t kept = 0;
    total = 0;
    while (kept < weights.size() && total < wanted) total += weights[kept++];
    weights.resize(kept);
  }
  const auto words = philox(options.seed, RandomPurpose::kGenerate, sequence, position);
  double left = uniform_double(words[0], words[1]) * total;
  std::uint32_t chosen = best;  // where rounding leaves a rest behind the last weight
  for (std::size_t index = 0; index < weights.size(); ++index) {
    if (weights[index] == 0) continue;
    chosen = tokens[index];
    left -= weights[index];
    if (left < 0) break;
  }
  return chosen;
}

}  // namespace ingot
