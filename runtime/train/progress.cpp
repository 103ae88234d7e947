#include "runtime/train/progress.hpp"

#include <cmath>

#include "ops/base/units.hpp"
#include "runtime/metrics/table.hpp"
#include "runtime/program/estimate.hpp"

namespace ingot {

Progress::Progress(const Config& config, const TrainerParts& parts, const StepPlan& plan,
                   double matrix_flops)
    : config_(config), parts_(parts), plan_(plan), matrix_flops_(matrix_flops) {
  if (shows()) console_.emplace(stdout, config.log.every);
}

void Progress::show_start(const Engine& engine, const RunData& data,
                          std::int64_t checkpoint_buffer) {
  if (!shows()) return;
  Table table({{"parameter"}, {"value"}});
  const ModelConfig model = resolve(config_.model);
  const bool gpt = model.kind == "gpt";
  const Environment& environment = parts_.environment;
  table.add({"run", parts_.directory.path()});
  table.add({"device", environment.device});
  table.add({"ranks", fmt::format("{} ({})", environment.ranks, environment.transport)});
  table.add({"precision", config_.train.precision});
  if (gpt) {
    table.add(
        {"model", fmt::format("gpt: {} layers, width {}, {} heads ({} kv), hidden {}", model.layers,
                              model.width, model.heads, model.kv_heads, model.hidden)});
    table.add({"", fmt::format("{}, {}, {} positions, {} output, recompute {}", model.norm,
                               model.activation, model.positions, model.tied ? "tied" : "separate",
                               model.recompute)});
    table.add({"context", fmt::format("{}", model.context)});
    table.add({"vocabulary", fmt::format("{}", data.description().model.vocabulary)});
  } else {
    table.add({"model", fmt::format("mlp: {} numeric and {} categorical columns, {} classes",
                                    data.description().model.features,
                                    data.description().model.category_columns,
                                    data.description().model.classes)});
  }
  const StoreLayout& layout = engine.store().layout();
  table.add({"parameters", with_separators(layout.parameter_count())});
  table.add({"gradient buckets", fmt::format("{}", layout.buckets.size())});
  table.add({"batch", fmt::format("{} = {} micro x {} ranks x {} accumulated", plan_.global_batch,
                                  config_.batch.micro, environment.ranks, plan_.accumulation)});
  table.add({"epoch", fmt::format("{} samples, {:.1f} steps", data.samples_per_epoch(),
                                  static_cast<double>(data.samples_per_epoch()) /
                                      static_cast<double>(plan_.global_batch))});
  table.add({"steps", plan_.steps > 0 ? fmt::format("{}", plan_.steps)
                                      : "until " + format_duration(config_.train.wall_time)});
  table.add({"optimizer", fmt::format("{}, learning rate {:g}, {}", config_.optimizer.kind,
                                      config_.optimizer.learning_rate, config_.schedule.kind)});
  const MemoryTable memory = engine.memory().table();
  const std::int64_t exchanges =
      parts_.communicator != nullptr ? parts_.communicator->memory_bytes() : 0;
  const bool host_computes = parts_.device.host_visible();
  table.add({"memory per rank",
             approximate_bytes(static_cast<double>(total_bytes(memory) + exchanges +
                                                   (host_computes ? checkpoint_buffer : 0)))});
  std::vector<ProgramRuns> programs;
  for (const Program* program : engine.programs()) programs.push_back({program, 0});
  for (const MemoryUse& use : memory_by_kind(memory, programs, engine.parallel().slots)) {
    table.add({fmt::format("  {}", name_of(use.kind)),
               approximate_bytes(static_cast<double>(use.bytes))});
  }
  if (exchanges > 0) {
    table.add({fmt::format("  {}", name_of(MemoryKind::kSmallExchanges)),
               approximate_bytes(static_cast<double>(exchanges))});
  }
  if (checkpoint_buffer > 0) {
    table.add({fmt::format("  {}{}", name_of(MemoryKind::kCheckpointBuffer),
                           host_computes ? "" : ", of the host"),
               approximate_bytes(static_cast<double>(checkpoint_buffer))});
  }
  table.add(
      {"matrix work", fmt::format("{} FLOP per step and rank", approximate_count(matrix_flops_))});
  if (const auto work = engine.recorded_work_per_step()) {
    table.add({"graphs per step",
               fmt::format("{} nodes: {} kernels, {} copies, {} fills, {} host calls",
                           with_separators(work->nodes), with_separators(work->kernels),
                           with_separators(work->copies), with_separators(work->fills),
                           with_separators(work->host_functions))});
  }
  console_->print(table.render());
}

void Progress::open(std::int64_t resumed_step) {
  if (!shows()) return;
  MetricsFile::Options options;
  if (resumed_step > 0) options.resumed_step = resumed_step;
  options.owner_only = config_.run.private_;
  options.warn = [this](const std::string& text) { parts_.log.warning("{}", text); };
  metrics_ = std::make_unique<MetricsFile>(parts_.directory.metrics(), std::move(options));
}

void Progress::report_step(StepReport report, std::int64_t items_per_step) {
  if (!shows()) return;
  report.total = plan_.steps;
  report.item = config_.model.kind == "gpt" ? "tokens" : "rows";
  report.items_per_second = static_cast<double>(items_per_step) / report.step_seconds;
  if (parts_.matrix_peak > 0) {
    report.peak_fraction = matrix_flops_ / report.step_seconds / parts_.matrix_peak;
  }
  console_->step(report);
  MetricsRow row(report.step);
  row.add("loss", report.loss)
      .add("gradient_norm", report.gradient_norm)
      .add("learning_rate", report.learning_rate)
      .add("step_ms", report.step_seconds * 1e3)
      .add("data_ms", report.data_seconds * 1e3)
      .add("communication_ms", report.exposed_communication_seconds * 1e3)
      .add(report.item == std::string_view("tokens") ? "tokens_per_second" : "rows_per_second",
           report.items_per_second)
      .add("matrix_flops_per_second", matrix_flops_ / report.step_seconds);
  if (report.peak_fraction) row.add("peak_share", *report.peak_fraction);
  if (report.skipped) row.add("skipped", true);
  metrics_->write(row);
}

void Progress::report_evaluation(std::int64_t step, const EvaluationResult& result,
                                 double seconds) {
  if (!shows()) return;
  MetricsRow row(step);
  row.add("validation_loss", result.loss);
  std::string line = fmt::format("evaluation at step {}: loss {:.4f}", step, result.loss);
  if (result.logits_per_row == 1) {
    const double area = area_under_roc(result.logits, result.labels);
    const double precision = average_precision(result.logits, result.labels);
    row.add("auc", area).add("average_precision", precision);
    line += fmt::format("  AUC {:.4f}  average precision {:.4f}", area, precision);
  } else if (result.logits_per_row > 1) {
    const double share = accuracy(result.logits, result.labels, result.logits_per_row);
    row.add("accuracy", share);
    line += fmt::format("  accuracy {:.4f}", share);
  } else {
    line += fmt::format("  perplexity {:.2f}", std::exp(result.loss));
  }
  line += fmt::format("  ({} samples, {})\n", result.samples, approximate_duration(seconds));
  console_->print(line);
  row.add("samples", result.samples).add("evaluation_ms", seconds * 1e3);
  metrics_->write(row);
}

void Progress::report_save(const SaveResult& saved) {
  if (!shows()) return;
  console_->print(fmt::format("saved {} ({}, {:.2f} s, {:.2f} s of them without training)\n",
                              saved.path, approximate_bytes(static_cast<double>(saved.bytes)),
                              saved.seconds, saved.blocked_seconds));
  MetricsRow row(saved.step);
  row.add("save_ms", saved.seconds * 1e3).add("save_blocked_ms", saved.blocked_seconds * 1e3);
  metrics_->write(row);
}

void Progress::finish(ExitCode code, std::int64_t step, bool saved) {
  if (!shows()) return;
  console_->finish();
  if (code == ExitCode::kPreempted) {
    console_->print(
        fmt::format("stopped by a signal after step {}{}; start the same command again "
                    "to go on\n",
                    step, saved ? ", saved" : ""));
  }
}

}  // namespace ingot
