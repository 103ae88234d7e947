#include "runtime/train/run_checkpoints.hpp"

#include <chrono>

namespace ingot {

RunCheckpoints::RunCheckpoints(const Config& config, const TrainerParts& parts, Progress& progress,
                               const StateView& state)
    : config_(config), parts_(parts), progress_(progress) {
  options_.directory = parts.directory.checkpoints();
  options_.keep = config.checkpoint.keep;
  options_.private_files = config.run.private_;
  if (saves_in_background(config.checkpoint)) {
    background_.emplace(options_, parts.device, state, parts.exchange);
  }
}

void RunCheckpoints::succeeded(const SaveResult& saved) {
  failures_ = 0;
  saved_step_ = saved.step;
  if (parts_.exchange.rank() != 0) return;
  for (const std::string& warning : saved.warnings) parts_.log.warning("{}", warning);
  progress_.report_save(saved);
}

template <typename Work>
void RunCheckpoints::proceed(Work work) {
  try {
    if (const std::optional<SaveResult> saved = work()) succeeded(*saved);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kCannotWrite || last_) throw;
    if (++failures_ >= config_.checkpoint.max_failures) {
      fail(ExitCode::kCannotWrite,
           "{}; {} checkpoints in a row could not be written, so the run ends "
           "(checkpoint.max_failures)",
           error.what(), failures_);
    }
    if (parts_.exchange.rank() != 0) return;
    parts_.log.warning(
        "{}; training goes on and the next checkpoint is tried when it is due (failure {} of {} "
        "that end the run)",
        error.what(), failures_, config_.checkpoint.max_failures);
  }
}

void RunCheckpoints::after_step(double votes) {
  if (!background_ || !background_->busy() || votes < parts_.exchange.size()) return;
  proceed([&] { return background_->advance(); });
}

void RunCheckpoints::finish() {
  if (background_ && background_->busy()) proceed([&] { return background_->finish(); });
}

Event* RunCheckpoints::save(const StateView& state, const TrainingState& training) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  if (background_ && background_->busy()) {
    finish();
    if (parts_.exchange.rank() == 0) {
      parts_.log.info(
          "waited {:.2f} s for a checkpoint that was still being written when that of step {} "
          "was due",
          seconds(), training.step);
    }
  }
  Event* copied = nullptr;
  proceed([&]() -> std::optional<SaveResult> {
    if (background_) {
      background_->begin(state, training);
      copied = &background_->copied();
      return {};
    }
    SaveResult saved = save_checkpoint(options_, state, training, parts_.exchange);
    saved.seconds = saved.blocked_seconds = seconds();
    return saved;
  });
  return copied;
}

void RunCheckpoints::save_last(const StateView& state, const TrainingState& training) {
  finish();
  if (saved_step_ == training.step) return;
  last_ = true;
  save(state, training);
}

}  // namespace ingot
