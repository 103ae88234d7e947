#include "runtime/data/sampler.hpp"

#include <bit>
#include <cmath>
#include <numeric>

#include "ops/base/error.hpp"

namespace ingot {

std::int64_t permute(std::int64_t index, std::int64_t count, std::uint64_t seed,
                     RandomPurpose purpose, std::int64_t epoch, std::int64_t stream) {
  ensure(index >= 0 && index < count, "an index below the count");
  if (count == 1) return 0;
  constexpr int kRounds = 6;
  const int bits = std::bit_width(static_cast<std::uint64_t>(count - 1));
  const int half = (bits + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = value >> half;
    std::uint64_t right = value & mask;
    for (int round = 0; round < kRounds; ++round) {
      const std::uint64_t counter = static_cast<std::uint64_t>(stream) << 48 |
                                    static_cast<std::uint64_t>(round) << 40 | right;
      const auto words = philox(seed, purpose, static_cast<std::uint64_t>(epoch), counter);
      const std::uint64_t mixed = left ^ (words[0] & mask);
      left = right;
      right = mixed;
    }
    value = left << half | right;
  } while (value >= static_cast<std::uint64_t>(count));
  return static_cast<std::int64_t>(value);
}

Mixture::Mixture(std::span<const double> weights) {
  for (std::size_t set = 0; set + 1 < weights.size(); ++set) {
    // Summed anew each time: subtracting from a total would leave rounding errors of its size.
    const auto rest = weights.subspan(set);
    const double sum = std::accumulate(rest.begin(), rest.end(), 0.0);
    shares_.push_back(static_cast<std::uint64_t>(std::llround(weights[set] / sum * 0x1p32)));
  }
}

Mixture::Choice Mixture::at(std::int64_t sample) const {
  // Of n samples that reach set k it takes floor(n * share): sample i is its own exactly when that
  // count grows from i to i + 1.
  using Wide = unsigned __int128;
  auto index = static_cast<std::uint64_t>(sample);
  for (std::size_t set = 0; set < shares_.size(); ++set) {
    const auto before = static_cast<std::uint64_t>(Wide{index} * shares_[set] >> 32);
    const auto after = static_cast<std::uint64_t>((Wide{index} + 1) * shares_[set] >> 32);
    if (after > before) {
      return {static_cast<std::int64_t>(set), static_cast<std::int64_t>(before)};
    }
    index -= before;
  }
  return {static_cast<std::int64_t>(shares_.size()), static_cast<std::int64_t>(index)};
}

Sampler::Sampler(std::vector<std::int64_t> counts, std::span<const double> weights,
                 std::uint64_t seed, SampleOrder order)
    : counts_(std::move(counts)), mixture_(weights), seed_(seed), order_(order) {
  ensure(!counts_.empty() && counts_.size() == weights.size(), "one weight per set");
  for (const std::int64_t count : counts_) {
    ensure(count > 0, "sets with samples");
    total_ += count;
  }
}

SampleAddress Sampler::at(std::int64_t sample) const {
  ensure(sample >= 0 && exists(sample), "a sample that exists");
  if (order_ == SampleOrder::kSequential) {
    std::size_t set = 0;
    while (sample >= counts_[set]) sample -= counts_[set++];
    return {static_cast<std::int64_t>(set), 0, sample};
  }
  const auto [set, index] = mixture_.at(sample);
  const std::int64_t count = counts_[static_cast<std::size_t>(set)];
  const std::int64_t epoch = index / count;
  return {set, epoch, permute(index % count, count, seed_, RandomPurpose::kShuffle, epoch, set)};
}

}  // namespace ingot
