// Measures of a classifier: one sort by score, then a walk over the distinct scores.
#include "runtime/metrics/classification.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/base/error.hpp"
#include "runtime/metrics/table.hpp"

namespace ingot {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Rows that score at least `threshold`.
struct Step {
  float threshold = 0;
  std::int64_t true_positives = 0;
  std::int64_t false_positives = 0;
};

/// One step per distinct score, the highest first.
std::vector<Step> threshold_steps(std::span<const float> scores,
                                  std::span<const std::int32_t> labels) {
  ensure(scores.size() == labels.size(), "as many scores as labels");
  std::vector<std::size_t> order;
  order.reserve(scores.size());
  for (std::size_t row = 0; row < scores.size(); ++row) {
    if (labels[row] == -1) continue;
    ensure(labels[row] == 0 || labels[row] == 1, "labels 0 and 1");
    order.push_back(row);
    if (std::isnan(scores[row])) {
      fail(ExitCode::kNonFinite, "the score of row {} is NaN: the model's weights are broken", row);
    }
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t left, std::size_t right) { return scores[left] > scores[right]; });
  std::vector<Step> steps;
  Step step;
  for (std::size_t place = 0; place < order.size(); ++place) {
    const std::size_t row = order[place];
    (labels[row] == 1 ? step.true_positives : step.false_positives) += 1;
    step.threshold = scores[row];
    if (place + 1 == order.size() || scores[order[place + 1]] != scores[row]) steps.push_back(step);
  }
  return steps;
}

ThresholdResult result_of(const Step& step, std::int64_t positives) {
  ThresholdResult result;
  result.threshold = step.threshold;
  result.true_positives = step.true_positives;
  result.false_positives = step.false_positives;
  result.false_negatives = positives - step.true_positives;
  const auto hits = static_cast<double>(step.true_positives);
  const std::int64_t called = step.true_positives + step.false_positives;
  result.precision = called > 0 ? hits / static_cast<double>(called) : 1;
  result.recall = positives > 0 ? hits / static_cast<double>(positives) : 0;
  const std::int64_t either = called + positives;
  result.f1 = either > 0 ? 2 * hits / static_cast<double>(either) : 0;
  return result;
}

/// -log sigmoid(logit) for label 1, -log(1 - sigmoid(logit)) for label 0, by softplus.
double binary_row_loss(std::span<const float> row, std::int32_t label) {
  const double margin = label == 1 ? double{row[0]} : -double{row[0]};
  return std::log1p(std::exp(-std::abs(margin))) + std::max(-margin, 0.0);
}

/// log(sum(exp(row))) - row[label], by the row's maximum.
double row_loss(std::span<const float> row, std::int32_t label) {
  const double most = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (const float logit : row) total += std::exp(double{logit} - most);
  return std::log(total) + most - double{row[static_cast<std::size_t>(label)]};
}

/// Mean of measure(row, label) over rows that count.
template <typename Measure>
double mean_over_rows(std::span<const float> logits, std::span<const std::int32_t> labels,
                      std::int64_t classes, const Measure& measure) {
  const auto width = static_cast<std::size_t>(classes);
  ensure(classes > 0 && logits.size() == labels.size() * width, "logits [rows, classes]");
  // A binary model has a single logit for its two classes.
  const std::int64_t most = classes == 1 ? 2 : classes;
  double total = 0;
  std::int64_t counted = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    if (labels[row] == -1) continue;
    ensure(labels[row] >= 0 && labels[row] < most, "labels below the number of classes");
    total += measure(logits.subspan(row * width, width), labels[row]);
    ++counted;
  }
  return counted > 0 ? total / static_cast<double>(counted) : kNaN;
}

}  // namespace

double area_under_roc(std::span<const float> scores, std::span<const std::int32_t> labels) {
  const std::vector<Step> steps = threshold_steps(scores, labels);
  if (steps.empty()) return kNaN;
  const Step& all = steps.back();
  if (all.true_positives == 0 || all.false_positives == 0) return kNaN;
  // Trapezoids under the curve of true against false positives.
  double area = 0;
  Step before;
  for (const Step& step : steps) {
    const auto width = static_cast<double>(step.false_positives - before.false_positives);
    area += width * 0.5 * static_cast<double>(step.true_positives + before.true_positives);
    before = step;
  }
  return area / static_cast<double>(all.true_positives) / static_cast<double>(all.false_positives);
}

double average_precision(std::span<const float> scores, std::span<const std::int32_t> labels) {
  const std::vector<Step> steps = threshold_steps(scores, labels);
  if (steps.empty() || steps.back().true_positives == 0) return kNaN;
  double sum = 0;
  std::int64_t before = 0;
  for (const Step& step : steps) {
    const auto called = static_cast<double>(step.true_positives + step.false_positives);
    sum += static_cast<double>(step.true_positives - before) *
           static_cast<double>(step.true_positives) / called;
    before = step.true_positives;
  }
  return sum / static_cast<double>(steps.back().true_positives);
}

ThresholdReport threshold_report(std::span<const float> scores,
                                 std::span<const std::int32_t> labels,
                                 std::span<const float> thresholds) {
  const std::vector<Step> steps = threshold_steps(scores, labels);
  const std::int64_t positives = steps.empty() ? 0 : steps.back().true_positives;
  ThresholdReport report;
  for (const float threshold : thresholds) {
    // The last step that still scores at least the threshold.
    const auto end = std::partition_point(
        steps.begin(), steps.end(), [&](const Step& step) { return step.threshold >= threshold; });
    Step step = end == steps.begin() ? Step{} : *std::prev(end);
    step.threshold = threshold;
    report.at.push_back(result_of(step, positives));
  }
  for (const Step& step : steps) {
    const ThresholdResult result = result_of(step, positives);
    if (&step == &steps.front() || result.f1 > report.best.f1) report.best = result;
  }
  return report;
}

std::string render_threshold_report(const ThresholdReport& report) {
  Table table({{"threshold", true},
               {"precision", true},
               {"recall", true},
               {"F1", true},
               {"found", true},
               {"missed", true},
               {"false alarms", true},
               {"", false}});
  const auto add = [&](const ThresholdResult& result, const char* remark) {
    table.add({fmt::format("{:.4f}", result.threshold), fmt::format("{:.4f}", result.precision),
               fmt::format("{:.4f}", result.recall), fmt::format("{:.4f}", result.f1),
               with_separators(result.true_positives), with_separators(result.false_negatives),
               with_separators(result.false_positives), remark});
  };
  for (const ThresholdResult& result : report.at) add(result, "");
  add(report.best, "best F1");
  return table.render();
}

double log_loss(std::span<const float> logits, std::span<const std::int32_t> labels,
                std::int64_t classes) {
  return mean_over_rows(logits, labels, classes, classes == 1 ? binary_row_loss : row_loss);
}

double accuracy(std::span<const float> logits, std::span<const std::int32_t> labels,
                std::int64_t classes) {
  return mean_over_rows(
      logits, labels, classes, [](std::span<const float> row, std::int32_t label) {
        if (row.size() == 1) return (row[0] >= 0) == (label == 1) ? 1.0 : 0.0;
        return std::max_element(row.begin(), row.end()) - row.begin() == label ? 1.0 : 0.0;
      });
}

}  // namespace ingot
