#include "runtime/data/sampler.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace ingot {
namespace {

TEST(Permute, VisitsEveryIndexOnce) {
  for (const std::int64_t count : {1, 2, 3, 4, 5, 7, 16, 17, 100, 1000, 4097}) {
    std::vector<bool> seen(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = permute(i, count, 42, RandomPurpose::kShuffle, 3);
      ASSERT_GE(at, 0);
      ASSERT_LT(at, count);
      EXPECT_FALSE(seen[static_cast<std::size_t>(at)]) << "twice " << at << " of " << count;
      seen[static_cast<std::size_t>(at)] = true;
    }
  }
}

TEST(Permute, DiffersByEpochSeedAndStream) {
  const auto order = [](std::uint64_t seed, std::int64_t epoch, std::int64_t stream) {
    std::vector<std::int64_t> result;
    for (int i = 0; i < 100; ++i) {
      result.push_back(permute(i, 100, seed, RandomPurpose::kShuffle, epoch, stream));
    }
    return result;
  };
  EXPECT_EQ(order(1, 0, 0), order(1, 0, 0));
  EXPECT_NE(order(1, 0, 0), order(2, 0, 0));
  EXPECT_NE(order(1, 0, 0), order(1, 1, 0));
  EXPECT_NE(order(1, 0, 0), order(1, 0, 1));
}

TEST(Permute, PutsEveryIndexEverywhereEquallyOften) {
  // Chi-square over 10 x 10 cells of 4000 permutations: 81 degrees of freedom, mean 81, standard
  // deviation 12.7. The seeds are fixed, so the outcome is too.
  constexpr int kTrials = 4000;
  std::vector<int> counts(100);
  for (int trial = 0; trial < kTrials; ++trial) {
    for (int i = 0; i < 10; ++i) {
      const auto at = permute(i, 10, 7, RandomPurpose::kShuffle, trial);
      ++counts[static_cast<std::size_t>(10 * i + at)];
    }
  }
  double chi = 0;
  for (const int count : counts) chi += std::pow(count - kTrials / 10.0, 2) / (kTrials / 10.0);
  EXPECT_LT(chi, 81 + 5 * 12.7);
  EXPECT_GT(chi, 81 - 5 * 12.7);
}

TEST(Permute, HandlesHugeCounts) {
  const std::int64_t count = std::int64_t{1} << 40;
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < 1000; ++i) {
    seen.insert(permute(count - 1 - i, count, 1, RandomPurpose::kShuffle, 0));
  }
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_LT(*seen.rbegin(), count);
}

TEST(Mixture, GivesEverySetItsShareAtAnyTime) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int trial = 0; trial < 20; ++trial) {
    std::vector<double> weights(2 + random() % 4);
    double sum = 0;
    for (auto& weight : weights) sum += weight = 1 + random() % 1000;
    const Mixture mixture(weights);
    std::vector<std::int64_t> counts(weights.size());
    for (std::int64_t n = 0; n < 3000; ++n) {
      const auto choice = mixture.at(n);
      auto& count = counts[static_cast<std::size_t>(choice.set)];
      ASSERT_EQ(choice.index, count) << "indices of a set count up one by one";
      ++count;
      for (std::size_t k = 0; k < weights.size(); ++k) {
        // Each of the nested choices is off by less than one.
        EXPECT_NEAR(static_cast<double>(counts[k]), static_cast<double>(n + 1) * weights[k] / sum,
                    static_cast<double>(weights.size()));
      }
    }
  }
}

TEST(Mixture, KeepsItsProportionsFarOut) {
  const std::vector<double> weights = {3, 1};
  const Mixture mixture(weights);
  const std::int64_t far = 4'000'000'000'000;
  std::int64_t of_first = 0;
  for (std::int64_t i = 0; i < 400; ++i) of_first += mixture.at(far + i).set == 0;
  EXPECT_EQ(of_first, 300);
}

TEST(Mixture, SurvivesWeightsOfVeryDifferentSize) {
  const std::vector<double> weights = {1e20, 1, 1};
  const Mixture mixture(weights);
  for (std::int64_t i = 0; i < 1000; ++i) EXPECT_EQ(mixture.at(i).set, 0);
}

TEST(Sampler, ShufflesEachEpochOfEachSet) {
  const std::vector<double> weights = {2, 1};
  const Sampler sampler({10, 7}, weights, 5, SampleOrder::kShuffled);
  EXPECT_EQ(sampler.samples_per_epoch(), 17);
  std::vector<std::set<std::int64_t>> seen(2);
  std::vector<std::int64_t> taken(2);
  for (std::int64_t i = 0; i < 420; ++i) {
    const SampleAddress address = sampler.at(i);
    const auto set = static_cast<std::size_t>(address.set);
    const std::int64_t count = set == 0 ? 10 : 7;
    ASSERT_EQ(address.epoch, taken[set] / count);
    if (taken[set] % count == 0) seen[set].clear();
    EXPECT_TRUE(seen[set].insert(address.index).second) << "twice in an epoch";
    ++taken[set];
  }
  EXPECT_EQ(taken[0], 280);
}

TEST(Sampler, WalksThroughAnEvaluationInOrderAndOnce) {
  const std::vector<double> weights = {1, 5};
  const Sampler sampler({3, 2}, weights, 5, SampleOrder::kSequential);
  for (std::int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(sampler.at(i).set, i < 3 ? 0 : 1);
    EXPECT_EQ(sampler.at(i).index, i < 3 ? i : i - 3);
  }
  EXPECT_TRUE(sampler.exists(4));
  EXPECT_FALSE(sampler.exists(5));
}

void expect_every_sample_once(MicroAssignment order) {
  for (const std::int64_t ranks : {1, 2, 3}) {
    for (const std::int64_t accumulation : {1, 2, 5}) {
      std::set<std::int64_t> seen;
      std::int64_t count = 0;
      for (std::int64_t step = 0; step < 4; ++step) {
        for (std::int64_t rank = 0; rank < ranks; ++rank) {
          const SampleAssignment assignment{rank, ranks, 3, accumulation, order};
          for (std::int64_t part = 0; part < accumulation; ++part) {
            for (std::int64_t row = 0; row < 3; ++row, ++count) {
              const std::int64_t sample = assignment.first_sample(step, part) + row;
              EXPECT_EQ(sample / assignment.samples_per_step(), step);
              seen.insert(sample);
            }
          }
        }
      }
      EXPECT_EQ(static_cast<std::int64_t>(seen.size()), count);
      EXPECT_EQ(*seen.rbegin(), count - 1);
    }
  }
}

TEST(SampleAssignment, CoversEverySampleOnceForAnyRanks) {
  expect_every_sample_once(MicroAssignment::kConsecutive);
  expect_every_sample_once(MicroAssignment::kStrided);
}

TEST(SampleAssignment, DealsMicroBatchesOutInRowsOrOneByOne) {
  // 3 ranks with 2 micro batches of 10 samples each, in the second step.
  SampleAssignment assignment{1, 3, 10, 2};
  EXPECT_EQ(assignment.first_sample(1, 0), 60 + 20);
  EXPECT_EQ(assignment.first_sample(1, 1), 60 + 30);
  assignment.order = MicroAssignment::kStrided;
  EXPECT_EQ(assignment.first_sample(1, 0), 60 + 10);
  EXPECT_EQ(assignment.first_sample(1, 1), 60 + 40);
}

}  // namespace
}  // namespace ingot
