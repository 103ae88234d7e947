// Measures of a classifier over a whole evaluation set, exact: no binning of scores. Equal scores
// are one threshold, as in scikit-learn, so that the order of rows never matters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ingot {

// Scores are any monotone measure of "positive" (a logit or a probability), labels 0 or 1; rows
// labelled -1 do not count. Scores that are NaN end with kNonFinite.

/// Area under the ROC curve: the probability that a positive scores above a negative, ties counting
/// one half. NaN where one of the classes is missing.
double area_under_roc(std::span<const float> scores, std::span<const std::int32_t> labels);

/// Average precision: the sum over thresholds of (recall step) x precision, not interpolated. NaN
/// where there are no positives.
double average_precision(std::span<const float> scores, std::span<const std::int32_t> labels);

/// What happens to the rows when those that score at least `threshold` are called positive.
struct ThresholdResult {
  float threshold = 0;
  std::int64_t true_positives = 0;
  std::int64_t false_positives = 0;
  std::int64_t false_negatives = 0;
  double precision = 0;  ///< 1 where nothing is called positive
  double recall = 0;     ///< 0 where there are no positives
  double f1 = 0;
};

struct ThresholdReport {
  std::vector<ThresholdResult> at;  ///< as the thresholds were given
  ThresholdResult best;             ///< of all scores, the threshold with the highest F1
};

ThresholdReport threshold_report(std::span<const float> scores,
                                 std::span<const std::int32_t> labels,
                                 std::span<const float> thresholds);

/// The report as a table for people.
std::string render_threshold_report(const ThresholdReport& report);

/// Mean of -log p(label); logits [rows, classes]. With classes 1 the model is binary: p is the
/// sigmoid of the logit and labels are 0 and 1; otherwise p is the softmax of the row. Rows
/// labelled -1 do not count. NaN where no row does.
double log_loss(std::span<const float> logits, std::span<const std::int32_t> labels,
                std::int64_t classes);

/// Share of rows whose largest logit (the lowest class among equals) is the label's; with classes 1
/// the label is 1 where the logit is at least 0. Rows labelled -1 do not count.
double accuracy(std::span<const float> logits, std::span<const std::int32_t> labels,
                std::int64_t classes);

}  // namespace ingot
