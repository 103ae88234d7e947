// What one sees of a run: the table at its start, a line per step, evaluations, saves; and the same
// figures as rows of metrics.jsonl. Rank 0 shows and writes, the other ranks do neither.
#pragma once

#include <memory>
#include <optional>

#include "runtime/checkpoint/save.hpp"
#include "runtime/metrics/console.hpp"
#include "runtime/metrics/jsonl.hpp"
#include "runtime/train/evaluation.hpp"
#include "runtime/train/step_plan.hpp"
#include "runtime/train/trainer.hpp"

namespace ingot {

class Progress {
 public:
  /// `matrix_flops` are those that one rank executes in a step.
  Progress(const Config& config, const TrainerParts& parts, const StepPlan& plan,
           double matrix_flops);

  /// The table of the run's parameters. `checkpoint_buffer` bytes of host memory are kept for
  /// saving in the background.
  void show_start(const Engine& engine, const RunData& data, std::int64_t checkpoint_buffer);
  /// Opens metrics.jsonl; rows after `resumed_step` of an earlier start are dropped.
  void open(std::int64_t resumed_step);
  /// Completes the figures that follow from the plan (rates, share of the peak) and shows them.
  void report_step(StepReport report, std::int64_t tokens_per_step);
  void report_evaluation(std::int64_t step, const EvaluationResult& result, double seconds);
  void report_save(const SaveResult& saved);
  void finish(ExitCode code, std::int64_t step, bool saved);

 private:
  bool shows() const { return parts_.exchange.rank() == 0; }

  const Config& config_;
  const TrainerParts& parts_;
  const StepPlan& plan_;
  double matrix_flops_;
  std::optional<Console> console_;
  std::unique_ptr<MetricsFile> metrics_;
};

}  // namespace ingot
