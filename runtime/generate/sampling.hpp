// Choosing the next token from a model's logits. A choice is a pure function of the logits, the
// options and the position: the same seed gives the same text, whatever was generated before.
#pragma once

#include <cstdint>
#include <span>

namespace ingot {

struct SamplingOptions {
  double temperature = 1.0;  ///< divides the logits; 0: always the most probable token
  std::int64_t top_k = 0;    ///< only the k most probable tokens; 0: all
  double top_p = 1.0;        ///< only the most probable tokens that reach this probability together
  std::uint64_t seed = 1;
};

/// Fails with kUsage, naming the option, where one is out of its range.
void check_sampling(const SamplingOptions& options);

/// A token drawn from softmax(logits / temperature), cut to top_k and then to top_p ("The Curious
/// Case of Neural Text Degeneration", Holtzman et al., 2020). `position` counts the tokens of the
/// text and `sequence` the texts of one seed; together they key the draw. Of equal logits the lower
/// id counts as the more probable. A logit of minus infinity excludes its token. Fails with
/// kNonFinite on NaN, plus infinity, or where every token is excluded.
std::uint32_t sample_token(std::span<const float> logits, const SamplingOptions& options,
                           std::uint64_t position, std::uint64_t sequence = 0);

}  // namespace ingot
