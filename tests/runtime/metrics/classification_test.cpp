// AUC, average precision and the rest against values worked out by hand.
#include "runtime/metrics/classification.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

using Scores = std::vector<float>;
using Labels = std::vector<std::int32_t>;

TEST(AreaUnderRoc, IsTheShareOfOrderedPairs) {
  // Pairs (positive, negative): (0.35, 0.1) right, (0.35, 0.4) wrong, (0.8, both) right.
  EXPECT_DOUBLE_EQ(area_under_roc(Scores{0.1F, 0.4F, 0.35F, 0.8F}, Labels{0, 0, 1, 1}), 0.75);
  EXPECT_DOUBLE_EQ(area_under_roc(Scores{1, 2, 3, 4}, Labels{0, 0, 1, 1}), 1.0);
  EXPECT_DOUBLE_EQ(area_under_roc(Scores{4, 3, 2, 1}, Labels{0, 0, 1, 1}), 0.0);
}

TEST(AreaUnderRoc, CountsATieAsOneHalf) {
  EXPECT_DOUBLE_EQ(area_under_roc(Scores{5, 5, 5, 5}, Labels{0, 1, 0, 1}), 0.5);
  // Positives 2 and 1, negatives 1 and 0: three right pairs and one tie.
  EXPECT_DOUBLE_EQ(area_under_roc(Scores{2, 1, 1, 0}, Labels{1, 1, 0, 0}), 3.5 / 4);
}

TEST(AreaUnderRoc, AgreesWithCountingAllPairs) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  Scores scores;
  Labels labels;
  for (int row = 0; row < 200; ++row) {
    scores.push_back(static_cast<float>(generator() % 30));
    labels.push_back(row < 2 ? row : static_cast<std::int32_t>(generator() % 2));
  }
  double right = 0;
  double pairs = 0;
  for (std::size_t positive = 0; positive < scores.size(); ++positive) {
    for (std::size_t negative = 0; negative < scores.size(); ++negative) {
      if (labels[positive] != 1 || labels[negative] != 0) continue;
      pairs += 1;
      right += scores[positive] > scores[negative]    ? 1
               : scores[positive] == scores[negative] ? 0.5
                                                      : 0;
    }
  }
  EXPECT_NEAR(area_under_roc(scores, labels), right / pairs, 1e-12);
}

TEST(AveragePrecision, SumsPrecisionOverRecallSteps) {
  // Ranks of the positives are 1 and 3: (1/1 + 2/3) / 2. scikit-learn's documentation has this
  // case.
  EXPECT_DOUBLE_EQ(average_precision(Scores{0.1F, 0.4F, 0.35F, 0.8F}, Labels{0, 0, 1, 1}),
                   (1.0 + 2.0 / 3.0) / 2);
  EXPECT_DOUBLE_EQ(average_precision(Scores{3, 2, 1}, Labels{0, 0, 1}), 1.0 / 3);
}

TEST(AveragePrecision, TakesEqualScoresAsOneThreshold) {
  EXPECT_DOUBLE_EQ(average_precision(Scores{5, 5, 5, 5}, Labels{1, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(average_precision(Scores{2, 1, 1, 0}, Labels{1, 1, 0, 0}), 0.5 + 0.5 * 2 / 3);
}

TEST(ClassificationMetrics, DoNotDependOnTheOrderOfRowsNorOnUncountedOnes) {
  const Scores scores = {1, 2, 2, 3, 1, 0};
  const Labels labels = {0, 1, 0, 1, 1, 0};
  const Scores shuffled = {9, 2, 0, 1, 3, 1, 2};
  const Labels shuffled_labels = {-1, 0, 0, 1, 1, 0, 1};
  EXPECT_EQ(area_under_roc(scores, labels), area_under_roc(shuffled, shuffled_labels));
  EXPECT_EQ(average_precision(scores, labels), average_precision(shuffled, shuffled_labels));
}

TEST(ClassificationMetrics, AreNotANumberWhereAClassIsMissing) {
  EXPECT_TRUE(std::isnan(area_under_roc(Scores{1, 2}, Labels{1, 1})));
  EXPECT_TRUE(std::isnan(area_under_roc(Scores{1, 2}, Labels{0, 0})));
  EXPECT_TRUE(std::isnan(area_under_roc(Scores{}, Labels{})));
  EXPECT_TRUE(std::isnan(average_precision(Scores{1, 2}, Labels{0, 0})));
  EXPECT_EQ(average_precision(Scores{1, 2}, Labels{1, 1}), 1.0);
  EXPECT_THROW(area_under_roc(Scores{1, std::nanf("")}, Labels{0, 1}), Error);
}

TEST(ThresholdReport, CountsRowsAtAndAboveTheThreshold) {
  const Scores scores = {0.9F, 0.8F, 0.7F, 0.6F, 0.5F};
  const Labels labels = {1, 0, 1, 1, 0};
  const Scores thresholds = {0.7F, 0.95F, 0.0F};
  const ThresholdReport report = threshold_report(scores, labels, thresholds);
  EXPECT_EQ(report.at[0].true_positives, 2);
  EXPECT_EQ(report.at[0].false_positives, 1);
  EXPECT_EQ(report.at[0].false_negatives, 1);
  EXPECT_DOUBLE_EQ(report.at[0].precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(report.at[0].recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(report.at[0].f1, 2.0 / 3);
  EXPECT_EQ(report.at[1].true_positives, 0);
  EXPECT_DOUBLE_EQ(report.at[1].precision, 1.0);
  EXPECT_DOUBLE_EQ(report.at[1].recall, 0.0);
  EXPECT_DOUBLE_EQ(report.at[2].recall, 1.0);
  EXPECT_DOUBLE_EQ(report.at[2].precision, 0.6);
  // Four called positive, three rightly: F1 is 6/7, more than at any other score.
  EXPECT_EQ(report.best.threshold, 0.6F);
  EXPECT_DOUBLE_EQ(report.best.f1, 6.0 / 7);
  EXPECT_NE(render_threshold_report(report).find("best F1"), std::string::npos);
}

TEST(LogLoss, OfABinaryModelIsTheMeanOfSoftplus) {
  EXPECT_DOUBLE_EQ(log_loss(Scores{0, 0}, Labels{0, 1}, 1), std::log(2.0));
  const double expected = (std::log1p(std::exp(-2.0)) + std::log1p(std::exp(1.0))) / 2;
  EXPECT_NEAR(log_loss(Scores{2, 1}, Labels{1, 0}, 1), expected, 1e-15);
  EXPECT_DOUBLE_EQ(log_loss(Scores{1000, -1000}, Labels{0, 0}, 1), 500.0);
}

TEST(LogLoss, OfSeveralClassesIsTheMeanOfTheLabelsLogProbability) {
  const Scores logits = {0, 0, 0, 1000, 0, 0, 5, 5, 5};
  EXPECT_NEAR(log_loss(logits, Labels{2, 0, -1}, 3), std::log(3.0) / 2, 1e-12);
  EXPECT_TRUE(std::isnan(log_loss(logits, Labels{-1, -1, -1}, 3)));
}

TEST(Accuracy, TakesTheLargestLogitAndTheLowestClassAmongEquals) {
  EXPECT_DOUBLE_EQ(accuracy(Scores{1, 2, 3, 3, 2, 2}, Labels{1, 0, -1}, 2), 1.0);
  EXPECT_DOUBLE_EQ(accuracy(Scores{1, 2, 3, 3, 2, 2}, Labels{1, 1, 0}, 2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(accuracy(Scores{0, -1, 2, 2}, Labels{1, 0, 1, 0}, 1), 0.75);
}

}  // namespace
}  // namespace ingot
