#include "runtime/train/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "runtime/checkpoint/load.hpp"
#include "runtime/checkpoint/save.hpp"
#include "runtime/config/load.hpp"
#include "runtime/data/sampler.hpp"
#include "runtime/train/agreed_algorithms.hpp"
#include "runtime/train/evaluation.hpp"
#include "runtime/train/fault.hpp"
#include "runtime/train/fingerprint.hpp"
#include "runtime/train/progress.hpp"
#include "runtime/train/run_checkpoints.hpp"
#include "runtime/train/schedule.hpp"
#include "runtime/train/signals.hpp"
#include "runtime/train/step_plan.hpp"

namespace ingot {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

class Trainer {
 public:
  Trainer(const Config& config, const TrainerParts& parts)
      : config_(config),
        parts_(parts),
        started_(Clock::now()),
        signals_(parts.termination),
        plan_(plan_steps(config, parts.exchange.size(), parts.data.samples_per_epoch(),
                         parts.data.tokens_per_sample())),
        fault_(config.fault, parts.exchange.rank(), parts.communicator, parts.log),
        engine_({config, parts.data.description().model, plan_.accumulation, true,
                 [this](const auto& prepare) { choose_algorithms(prepare); }, parts.node_ranks,
                 parts.communicator != nullptr ? parts.communicator->memory_bytes() : 0},
                parts.registry, parts.device, parts.communicator),
        validation_(parts.data.validation(config.batch.micro)),
        progress_(config, parts, plan_, engine_.matrix_flops_per_step()),
        tracer_({config.trace, parts.directory.traces(),
                 config.run.private_ ? FileAccess::kPrivate : FileAccess::kShared,
                 parts.exchange.rank(), host_name(),
                 [this](const std::string& text) { parts_.log.warning("{}", text); }}) {
    if (plan_.steps == 0 && config.schedule.steps == 0 && config.schedule.kind != "constant") {
      fail(ExitCode::kConfiguration,
           "schedule.kind '{}' needs to know the last step, but only train.wall_time limits this "
           "run: set schedule.steps, or schedule.kind: constant",
           config.schedule.kind);
    }
    describe_state();
    checkpoints_.emplace(config, parts, progress_, state_view(false));
  }

  ExitCode run() {
    start();
    progress_.show_start(engine_, parts_.data, checkpoints_->buffer_bytes());
    const bool strided = ordered() && engine_.parallel().reduces_each_micro();
    const SampleAssignment assignment{
        rank(), parts_.exchange.size(), config_.batch.micro, plan_.accumulation,
        strided ? MicroAssignment::kStrided : MicroAssignment::kConsecutive};
    const std::unique_ptr<TrainingFeed> feed = parts_.data.train(assignment, state_.step);
    ExitCode code = ExitCode::kDone;
    while (plan_.steps == 0 || state_.step < plan_.steps) {
      const StepScalars result = step(*feed);
      checkpoints_->after_step(result.saved_votes);
      const bool stop = result.stop_votes > 0;
      const bool out_of_time = result.time_votes > 0;
      const bool last = stop || out_of_time || state_.step == plan_.steps;
      if (due(config_.evaluate.every) && !last) evaluate_now();
      const bool save = result.save_votes > 0 || due(config_.checkpoint.every);
      if (save && !last) save_now();
      if (stop) code = ExitCode::kPreempted;
      if (stop || out_of_time) break;
    }
    finish(code);
    return code;
  }

 private:
  int rank() const { return parts_.exchange.rank(); }
  bool due(std::int64_t every) const { return every > 0 && state_.step % every == 0; }

  bool ordered() const { return config_.parallel.reduction == "ordered"; }
  bool on_gpu() const { return parts_.device.kind() == DeviceKind::kCuda; }

  /// Prepares the engine's programs. Neither a clock nor threads decide over the bits of an ordered
  /// run.
  void choose_algorithms(const std::function<void()>& prepare) {
    const auto choice = ordered() ? AlgorithmChoice::kHeuristic : AlgorithmChoice::kMeasure;
    if (!on_gpu()) {
      const ChoiceScope scope(matrix_algorithms(), choice);
      return prepare();
    }
    prepare_with_agreed_algorithms(matrix_algorithms(), {config_.tuning, choice}, parts_.exchange,
                                   parts_.log, prepare);
  }

  /// The parts of the state that do not change while the run goes on.
  void describe_state() {
    state_.seed = config_.run.seed;
    state_.sampler_version = kSamplerVersion;
    state_.precision = config_.train.precision;
    state_.optimizer = config_.optimizer.kind;
    state_.model_data = parts_.data.description().model;
    state_.data_checksum = parts_.data.description().checksum;
    state_.tokenizer = parts_.data.description().tokenizer;
    state_.columns = parts_.data.description().columns;
    state_.config = render_yaml(config_);
    state_.fingerprint = agreed_fingerprint(
        numerics_fingerprint(config_, parts_.environment,
                             on_gpu() ? matrix_algorithms().used_checksum() : ""),
        ordered(), parts_.exchange);
  }

  StateView state_view(bool weights_only) {
    StateView view{engine_.store().layout(), {}};
    const ParallelPlan& parallel = engine_.parallel();
    for (const SavedBuffer& buffer : engine_.store().saved_state()) {
      if (weights_only && buffer.name != "weights") continue;
      StateKind kind{buffer.name, buffer.values, engine_.store().transfer()};
      if (parallel.shard != ShardMode::kNone) {
        for (const ShardRange& range : buffer.held) {
          kind.held.push_back({range.flat, range.local, range.count});
        }
        kind.replica = parallel.rank / parallel.shard_ranks;
        kind.replicas = parallel.replicas();
      }
      view.kinds.push_back(std::move(kind));
    }
    return view;
  }

  /// Fresh weights, a resumed state, or weights from elsewhere.
  void start() {
    engine_.store().initialise(config_.run.seed);
    const std::string found = checkpoint_to_resume();
    if (!found.empty()) {
      resume(open_checkpoint(found));
    } else if (!config_.init_from.empty()) {
      const Checkpoint checkpoint =
          open_checkpoint(agreed_text(parts_.exchange, [&] { return resolve(config_.init_from); }));
      load_state(checkpoint, state_view(true));
      engine_.store().copy_to_average();
      parts_.log.info("weights from {}", checkpoint.path);
    } else {
      engine_.store().copy_to_average();
    }
    engine_.refresh_weights();
    if (rank() == 0) {
      for (const std::string& warning : remove_leftovers(parts_.directory.checkpoints())) {
        parts_.log.warning("{}", warning);
      }
    }
    progress_.open(state_.step);
  }

  std::string resolve(const std::string& path) {
    return resolve_checkpoint(path,
                              [&](const std::string& text) { parts_.log.warning("{}", text); })
        .path;
  }

  std::string checkpoint_to_resume() {
    if (config_.resume == "none") return "";
    return agreed_text(parts_.exchange, [&]() -> std::string {
      if (config_.resume != "auto") return resolve(config_.resume);
      const auto found = find_latest(parts_.directory.checkpoints(), [&](const std::string& text) {
        parts_.log.warning("{}", text);
      });
      return found ? found->path : "";
    });
  }

  void resume(const Checkpoint& checkpoint) {
    for (const StateDifference& difference : differences(checkpoint.training(), state_)) {
      if (difference.breaks) {
        fail(ExitCode::kCheckpoint,
             "{}: {} was '{}' when it was saved and is '{}' now, so the run cannot go on as it "
             "began: use resume: none with init_from for the weights alone, or the old setting",
             checkpoint.path, difference.what, difference.saved, difference.now);
      }
      if (rank() == 0) {
        parts_.log.warning(
            "resuming with {} '{}', which was '{}' when the checkpoint was saved: {}",
            difference.what, difference.now, difference.saved,
            ordered() ? "from here on the bits are not those that the run would have had, although "
                        "parallel.reduction is ordered"
                      : "results may differ in their last bits");
      }
    }
    load_state(checkpoint, state_view(false));
    state_.step = checkpoint.training().step;
    state_.adam_step = checkpoint.training().adam_step;
    state_.samples = checkpoint.training().samples;
    state_.tokens = checkpoint.training().tokens;
    state_.loss = checkpoint.training().loss;
    if (state_.samples != state_.step * plan_.global_batch) {
      fail(
          ExitCode::kCheckpoint,
          "{}: it was trained with another global batch ({} samples in {} steps, now {} per step): "
          "set batch.global to {}",
          checkpoint.path, state_.samples, state_.step, plan_.global_batch,
          state_.step > 0 ? state_.samples / state_.step : 0);
    }
    if (checkpoint.path.starts_with(parts_.directory.checkpoints())) {
      checkpoints_->resumed_from(state_.step);
    }
    parts_.log.info("resumed from {} at step {}", checkpoint.path, state_.step);
  }

  void note_activity(const char* what) {
    if (parts_.flights != nullptr) parts_.flights->set_activity(what);
  }

  StepScalars step(TrainingFeed& feed) {
    const auto begin = Clock::now();
    if (parts_.flights != nullptr) parts_.flights->set_step(state_.step + 1);
    note_activity("training");
    fault_.begin_step(state_.step + 1);
    const double waited_before = feed.waited_seconds();
    StepScalars scalars;
    scalars.seed = config_.run.seed;
    scalars.step = state_.step + 1;
    scalars.adam_step = state_.adam_step + 1;
    scalars.learning_rate =
        learning_rate(config_.schedule, config_.optimizer.learning_rate, scalars.step,
                      config_.schedule.steps > 0 ? config_.schedule.steps : plan_.steps);
    scalars.clip_norm = config_.optimizer.clip;
    scalars.ema_decay = config_.optimizer.ema;
    scalars.counted = 0;
    scalars.stop_votes = signals_.stop_requested() ? 1 : 0;
    scalars.save_votes = signals_.take_save_request() ? 1 : 0;
    scalars.saved_votes = checkpoints_->ready() ? 1 : 0;
    scalars.time_votes =
        config_.train.wall_time > 0 && seconds_between(started_, begin) >= config_.train.wall_time
            ? 1
            : 0;
    engine_.begin_step(scalars);
    engine_.trace_into(tracer_.begin(scalars.step));
    for (std::int64_t part = 0; part < plan_.accumulation; ++part) {
      const FeedBatch& batch = feed.next();
      engine_.load(batch.tensors);
      engine_.add_counted(batch.counted);
      engine_.run_micro(part + 1 == plan_.accumulation);
    }
    engine_.run_update();
    const StepScalars result = engine_.finish_step();
    tracer_.finish();

    ++state_.step;
    state_.samples += plan_.global_batch;
    state_.tokens += plan_.global_batch * parts_.data.tokens_per_sample();
    state_.loss = result.loss_sum / std::max(result.counted, 1.0);
    if (result.skip == 0) {
      ++state_.adam_step;
    } else {
      handle_nonfinite(result);
    }
    StepReport report;
    report.step = state_.step;
    report.loss = state_.loss;
    report.gradient_norm = result.gradient_norm;
    report.learning_rate = result.learning_rate;
    report.step_seconds = seconds_between(begin, Clock::now());
    report.data_seconds = feed.waited_seconds() - waited_before;
    report.exposed_communication_seconds = engine_.exposed_communication_seconds();
    report.skipped = result.skip != 0;
    progress_.report_step(report, plan_.global_batch * parts_.data.tokens_per_sample());
    return result;
  }

  void handle_nonfinite(const StepScalars& result) {
    if (config_.train.on_nonfinite == "abort") {
      checkpoints_->finish();
      fail(ExitCode::kNonFinite,
           "step {}: loss {}, gradient norm {}: not finite; the weights are as after step {} and "
           "the "
           "last checkpoint is untouched. Lower optimizer.learning_rate, look at the data, or set "
           "train.on_nonfinite: skip",
           state_.step, result.loss_sum / std::max(result.counted, 1.0), result.gradient_norm,
           state_.step - 1);
    }
    if (rank() == 0) {
      parts_.log.warning("step {}: the gradient is not finite; the update is skipped", state_.step);
    }
  }

  void evaluate_now() {
    if (!validation_) return;
    note_activity("evaluating");
    const auto begin = Clock::now();
    const std::int64_t samples = config_.evaluate.batches * plan_.global_batch;
    const EvaluationResult result =
        evaluate(engine_, *validation_, config_.batch.micro, samples, parts_.exchange);
    progress_.report_evaluation(state_.step, result, seconds_between(begin, Clock::now()));
    evaluated_step_ = state_.step;
  }

  void save_now() {
    note_activity("saving a checkpoint");
    if (Event* copied = checkpoints_->save(state_view(false), state_)) {
      engine_.update_after(*copied);
    }
  }

  void finish(ExitCode code) {
    const bool save = code == ExitCode::kPreempted || config_.checkpoint.at_end;
    note_activity("saving a checkpoint");
    if (save && state_.step > 0) checkpoints_->save_last(state_view(false), state_);
    // Of a preempted run the time that is left is not known; any other may evaluate meanwhile.
    if (code == ExitCode::kPreempted) checkpoints_->finish();
    if (code == ExitCode::kDone && evaluated_step_ != state_.step) evaluate_now();
    checkpoints_->finish();
    progress_.finish(code, state_.step, checkpoints_->saved_step() == state_.step);
  }

  const Config& config_;
  const TrainerParts& parts_;
  Clock::time_point started_;
  SignalRequests signals_;
  StepPlan plan_;
  FaultInjector fault_;  ///< first: it may concern what the engine records
  Engine engine_;
  std::unique_ptr<EvaluationFeed> validation_;
  Progress progress_;
  StepTracer tracer_;
  TrainingState state_;
  std::optional<RunCheckpoints> checkpoints_;
  std::int64_t evaluated_step_ = -1;
};

}  // namespace

ExitCode train(const Config& config, const TrainerParts& parts) {
  return Trainer(config, parts).run();
}

}  // namespace ingot
