#include "runtime/config/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "ops/base/error.hpp"
#include "ops/base/text.hpp"
#include "runtime/config/load.hpp"
#include "runtime/config/schema.hpp"

namespace ingot {

namespace {

/// Refuses what `key` says, at the place where it was set.
template <typename... Arguments>
[[noreturn]] void refuse(const Config& config, std::string_view key,
                         fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  const auto place = config.origins.places.find(key);
  fail(ExitCode::kConfiguration, "{}: {}: {}",
       place == config.origins.places.end() ? config.origins.document : place->second, key,
       fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// The divisor of `number` nearest to `wanted`.
std::int64_t nearest_divisor(std::int64_t number, std::int64_t wanted) {
  std::int64_t nearest = 1;
  for (std::int64_t divisor = 1; divisor <= number; ++divisor) {
    if (number % divisor == 0 && std::abs(divisor - wanted) < std::abs(nearest - wanted)) {
      nearest = divisor;
    }
  }
  return nearest;
}

void check_run(const Config& config) {
  const std::string& name = config.run.name;
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (name.empty() || !plain || name[0] == '.' || name.size() > 100) {
    refuse(config, "run.name",
           "'{}' cannot name a run; expected at most 100 letters, digits, '.', '_' and '-', not "
           "starting with '.'",
           printable(name));
  }
}

void check_data(const Config& config) {
  const DataConfig& data = config.data;
  if (data.train.empty() && data.mixture.empty()) {
    refuse(config, "data.train",
           "no training data; set data.train to a file of `ingot data import`");
  }
  if (!data.train.empty() && !data.mixture.empty()) {
    refuse(config, "data.mixture", "data.train is set too; give exactly one of the two");
  }
  for (std::size_t i = 0; i < data.mixture.size(); ++i) {
    if (data.mixture[i].path.empty()) {
      refuse(config, fmt::format("data.mixture[{}].path", i),
             "is empty; expected a data set's path");
    }
  }
  if (config.evaluate.every > 0 && validation_path(config).empty()) {
    refuse(config, "evaluate.every",
           "there is nothing to evaluate on: with data.mixture, data.validation has to be set");
  }
}

void check_gpt(const Config& config) {
  const ModelConfig& model = config.model;
  if (model.activation == "relu") {
    refuse(config, "model.activation", "relu is for model.kind mlp; expected gelu or swiglu");
  }
  if (model.activation.starts_with(kCustomActivation) && config.plugins.empty()) {
    refuse(config, "model.activation",
           "'{}' is an op of a plugin, but `plugins` names none; list the shared library that has "
           "it",
           printable(model.activation));
  }
  if (model.width % model.heads != 0) {
    refuse(config, "model.heads",
           "{} heads do not divide model.width {}; the nearest number that does is {}", model.heads,
           model.width, nearest_divisor(model.width, model.heads));
  }
  if (model.kv_heads != 0 && model.heads % model.kv_heads != 0) {
    refuse(config, "model.kv_heads",
           "{} heads of keys and values do not divide model.heads {}; the nearest number that does "
           "is {}",
           model.kv_heads, model.heads, nearest_divisor(model.heads, model.kv_heads));
  }
  const std::int64_t head_size = model.width / model.heads;
  if (model.positions == "rope" && head_size % 2 != 0) {
    refuse(config, "model.positions",
           "rope rotates pairs, but a head's size is model.width / model.heads = {}; make it even",
           head_size);
  }
  const double tokens =
      static_cast<double>(config.batch.micro) * static_cast<double>(model.context);
  if (tokens > 0x1p31) {
    refuse(config, "batch.micro",
           "{} sequences of model.context {} are more than 2^31 tokens in one pass; lower one",
           config.batch.micro, model.context);
  }
}

void check_mlp(const Config& config) {
  if (config.model.activation == "swiglu") {
    refuse(config, "model.activation", "swiglu is for model.kind gpt; expected relu or gelu");
  }
  if (config.model.activation.starts_with(kCustomActivation)) {
    refuse(config, "model.activation",
           "ops of plugins are for model.kind gpt; expected relu or gelu");
  }
}

/// With a micro batch that is still to be chosen, each rank needs whole samples of a step.
void check_auto_batch(const Config& config, int ranks) {
  const std::int64_t global = config.batch.global;
  if (config.parallel.reduction == "ordered") {
    refuse(config, "batch.micro",
           "auto would let the memory of the machine decide over bits, which parallel.reduction: "
           "ordered keeps from it; write the number that `ingot plan` finds, or use "
           "parallel.reduction: fast");
  }
  if (global % ranks == 0) return;
  const std::int64_t below = std::max<std::int64_t>(global / ranks, 1) * ranks;
  const std::int64_t above = (global / ranks + 1) * ranks;
  refuse(config, "batch.global", "{} is not a multiple of the {} ranks; the nearest one is {}",
         global, ranks, global - below <= above - global ? below : above);
}

void check_batch(const Config& config, int ranks) {
  if (config.batch.micro == kAutoMicro) return check_auto_batch(config, ranks);
  const std::int64_t one_pass = config.batch.micro * ranks;
  const std::int64_t global = config.batch.global;
  if (global % one_pass == 0) return;
  const std::int64_t below = std::max<std::int64_t>(global / one_pass, 1) * one_pass;
  const std::int64_t above = (global / one_pass + 1) * one_pass;
  const std::int64_t nearest = global - below <= above - global ? below : above;
  refuse(config, "batch.global",
         "{} is not a multiple of batch.micro x ranks = {} x {} = {}; the nearest one is {}",
         global, config.batch.micro, ranks, one_pass, nearest);
}

/// What would let the number of ranks, the wire or the machine decide over bits.
void check_ordered(const Config& config, int ranks) {
  const ParallelConfig& parallel = config.parallel;
  if (parallel.reduction != "ordered") return;
  if (parallel.wire != "f32") {
    refuse(config, "parallel.wire",
           "{} rounds gradients on their way, which parallel.reduction: ordered excludes; expected "
           "f32",
           parallel.wire);
  }
  if (parallel.shard_group == "node") {
    refuse(config, "parallel.shard_group",
           "node is not available with parallel.reduction: ordered; expected job, or use "
           "parallel.reduction: fast");
  }
  const bool each_micro = parallel.shard == "gradients" || parallel.shard == "parameters";
  if (each_micro && !std::has_single_bit(static_cast<unsigned>(ranks))) {
    const int below = static_cast<int>(std::bit_floor(static_cast<unsigned>(ranks)));
    const int above = 2 * below;
    refuse(config, "parallel.shard",
           "{} with parallel.reduction: ordered needs a power of two of ranks, and there are {}; "
           "the nearest are {}, or use parallel.shard: optimizer",
           parallel.shard, ranks, ranks - below < above - ranks ? below : above);
  }
}

void check_train(const Config& config) {
  const TrainConfig& train = config.train;
  if (train.steps == 0 && train.tokens == 0 && train.epochs == 0 && train.wall_time == 0) {
    refuse(config, "train.steps",
           "training has no end; set at least one of train.steps, train.tokens, train.epochs and "
           "train.wall_time");
  }
}

void check_schedule(const Config& config, int ranks) {
  const ScheduleConfig& schedule = config.schedule;
  if (schedule.kind == "constant") return;
  const TrainConfig& train = config.train;
  const bool known = schedule.steps > 0 || train.steps > 0 || train.tokens > 0 || train.epochs > 0;
  if (!known) {
    refuse(config, "schedule.kind",
           "{} needs a length, and train.wall_time gives no number of steps; set schedule.steps or "
           "train.steps, or use schedule.kind constant",
           schedule.kind);
  }
  const std::int64_t steps = schedule_steps(config, ranks);
  if (steps > 0 && schedule.warmup >= steps) {
    refuse(config, "schedule.warmup",
           "{} steps of warm-up leave nothing of the schedule's {}; expected at most {}",
           schedule.warmup, steps, steps - 1);
  }
  const auto decay =
      static_cast<std::int64_t>(std::ceil(static_cast<double>(steps) * schedule.decay_fraction));
  if (schedule.kind == "wsd" && steps > 0 && schedule.warmup + decay > steps) {
    refuse(config, "schedule.decay_fraction",
           "the decay of {} steps and the warm-up of {} exceed the schedule's {}; lower one", decay,
           schedule.warmup, steps);
  }
}

void check_start(const Config& config) {
  if (config.resume.empty()) {
    refuse(config, "resume", "is empty; expected auto, none or the path of a checkpoint");
  }
  if (!config.init_from.empty() && config.resume != "auto" && config.resume != "none") {
    refuse(
        config, "init_from",
        "resume names a checkpoint too ('{}'), which brings its own weights; give one of the two",
        printable(config.resume));
  }
  if (std::find(config.plugins.begin(), config.plugins.end(), "") != config.plugins.end()) {
    refuse(config, "plugins", "holds an empty path; expected shared libraries");
  }
}

void check_fault(const Config& config, int ranks) {
  if (config.fault.kind != "none" && config.fault.rank >= ranks) {
    refuse(config, "fault.rank", "there is no rank {}: the job has ranks 0 to {}",
           config.fault.rank, ranks - 1);
  }
}

}  // namespace

std::int64_t global_batch(const Config& config, int ranks) {
  return config.batch.global != 0 ? config.batch.global : config.batch.micro * ranks;
}

std::int64_t accumulation_steps(const Config& config, int ranks) {
  ensure(config.batch.micro != kAutoMicro, "a micro batch that was chosen");
  return global_batch(config, ranks) / (config.batch.micro * ranks);
}

std::int64_t schedule_steps(const Config& config, int ranks) {
  if (config.schedule.steps > 0) return config.schedule.steps;
  std::int64_t steps = config.train.steps;
  const std::int64_t batch = global_batch(config, ranks);
  if (config.train.tokens > 0 && batch > 0) {
    const std::int64_t per_step = batch * config.model.context;
    const std::int64_t by_tokens = (config.train.tokens + per_step - 1) / per_step;
    steps = steps == 0 ? by_tokens : std::min(steps, by_tokens);
  }
  return steps;
}

void validate(const Config& config, int ranks) {
  ensure(ranks > 0, "at least one rank");
  yaml::check_conditions(config_schema(), &config, config.origins.places);
  check_run(config);
  check_data(config);
  if (config.model.kind == "gpt") {
    check_gpt(config);
  } else {
    check_mlp(config);
  }
  check_batch(config, ranks);
  check_ordered(config, ranks);
  check_train(config);
  check_schedule(config, ranks);
  check_start(config);
  check_fault(config, ranks);
}

}  // namespace ingot
