// The checkpoints of a run as it goes on: in the background where the configuration says so, and
// what happens where one cannot be written. Everything but ready() is collective.
#pragma once

#include <optional>

#include "runtime/checkpoint/background_save.hpp"
#include "runtime/train/progress.hpp"

namespace ingot {

class RunCheckpoints {
 public:
  /// Allocates the buffer of background saves for states that are held as `state` is.
  RunCheckpoints(const Config& config, const TrainerParts& parts, Progress& progress,
                 const StateView& state);

  /// Whether this rank votes to go on with a save that is under way: StepScalars::saved_votes.
  bool ready() const { return background_ && background_->ready(); }
  /// After a step, with the votes of all ranks.
  void after_step(double votes);
  /// Saves, or begins to, once an earlier save is complete. Where that cannot be written, the run
  /// goes on with a warning, until checkpoint.max_failures in a row: then Error(kCannotWrite).
  /// Returns what the next change of the state must come after; null where that is nothing.
  Event* save(const StateView& state, const TrainingState& training);
  /// save() of the run's last state, unless that is saved already; from now on every failure is an
  /// error.
  void save_last(const StateView& state, const TrainingState& training);
  /// Returns once nothing is under way.
  void finish();

  std::int64_t buffer_bytes() const { return background_ ? background_->buffer_bytes() : 0; }
  std::int64_t saved_step() const { return saved_step_; }  ///< of the newest checkpoint, -1: none
  void resumed_from(std::int64_t step) { saved_step_ = step; }

 private:
  template <typename Work>
  void proceed(Work work);
  void succeeded(const SaveResult& saved);

  const Config& config_;
  const TrainerParts& parts_;
  Progress& progress_;
  SaveOptions options_;
  std::optional<BackgroundSave> background_;
  std::int64_t failures_ = 0;  // in a row
  bool last_ = false;
  std::int64_t saved_step_ = -1;
};

}  // namespace ingot
