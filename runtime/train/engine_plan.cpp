#include "runtime/train/engine_plan.hpp"

#include <algorithm>
#include <cstddef>

#include "ops/step_scalars.hpp"
#include "runtime/program/differentiate.hpp"
#include "runtime/program/fuse.hpp"
#include "runtime/program/recompute.hpp"

namespace ingot {

namespace {

Recompute recompute_mode(const std::string& name) {
  if (name == "layer") return Recompute::kLayer;
  if (name == "attention") return Recompute::kAttention;
  return Recompute::kNone;
}

/// The differentiated graph of one micro batch and what it says about the store.
struct TrainingGraph {
  Model model;
  std::vector<int> finish;
};

TrainingGraph build_training_graph(const EngineOptions& options, const Registry& registry,
                                   DType type, bool accumulate) {
  const Config& config = options.config;
  Model model = build_model(registry, config.model, options.data, ModelMode::kTrain, type,
                            config.batch.micro, config.model.context);
  fuse(model.graph, {});
  const int parameters = static_cast<int>(model.parameters.size());
  differentiate(model.graph, model.losses, parameters, accumulate);
  fuse_backward(model.graph);
  recompute(model.graph, recompute_mode(config.model.recompute));
  std::vector<int> finish = finish_order(model.graph, parameters);
  return {std::move(model), std::move(finish)};
}

ScheduleOptions reductions(std::string name) {
  ScheduleOptions options;
  options.name = std::move(name);
  options.reduce_gradients = true;
  options.small_reductions.push_back({buffer::kScalars,
                                      static_cast<std::int64_t>(offsetof(StepScalars, loss_sum)),
                                      {DType::kF64, Shape{kStepSums}},
                                      "accumulate_loss"});
  return options;
}

constexpr double kMebibyte = 1 << 20;

std::int64_t total_bytes(const EnginePlan& plan, const EngineOptions& options) {
  std::int64_t total = 0;
  for (const auto& [name, bytes] : memory_table(plan, options)) total += bytes;
  return total;
}

/// The largest micro batch below the one asked for whose plan takes at most `available` bytes; 0 if
/// there is none.
std::int64_t largest_that_fits(EngineOptions options, const Registry& registry, Device& device,
                               bool reduces, std::int64_t available) {
  std::int64_t fits = 0;
  std::int64_t too_large = options.config.batch.micro;
  while (too_large - fits > 1) {
    const std::int64_t middle = fits + (too_large - fits) / 2;
    options.config.batch.micro = middle;
    const EnginePlan plan = plan_engine(options, registry, device, reduces);
    (total_bytes(plan, options) <= available ? fits : too_large) = middle;
  }
  return fits;
}

}  // namespace

EnginePlan plan_engine(const EngineOptions& options, const Registry& registry, Device& device,
                       bool reduces) {
  const Config& config = options.config;
  EnginePlan plan;
  plan.type = config.train.precision == "bf16" ? DType::kBf16 : DType::kF32;
  const bool accumulates = options.micro_batches > 1;
  TrainingGraph training = build_training_graph(options, registry, plan.type, accumulates);
  plan.layout = lay_out(training.model.parameters, training.finish, config.parallel.bucket);
  const auto prepare = [&](const Graph& graph, const ScheduleOptions& schedule_options) {
    return prepare_program(graph, plan.layout, schedule_options, device);
  };
  if (options.training) {
    // Gradients are reduced by the step's last micro batch only.
    if (accumulates) plan.micro = prepare(training.model.graph, {.name = "micro"});
    plan.micro_last =
        prepare(training.model.graph,
                reduces ? reductions("micro_last") : ScheduleOptions{.name = "micro_last"});
    plan.update =
        prepare(build_update(registry, plan.layout, config.optimizer, plan.type == DType::kBf16),
                {.name = "update"});
  }
  Model evaluation = build_model(registry, config.model, options.data, ModelMode::kEvaluate,
                                 plan.type, config.batch.micro, config.model.context);
  fuse(evaluation.graph, {evaluation.logits});
  plan.evaluate = prepare(evaluation.graph, {.name = "evaluate"});
  return plan;
}

std::map<std::string, std::int64_t> memory_table(const EnginePlan& plan,
                                                 const EngineOptions& options) {
  std::map<std::string, std::int64_t> table;
  const std::int64_t flat = plan.layout.elements * size_of(DType::kF32);
  table[store::kMaster] = flat;
  if (plan.type != DType::kF32) table[store::kWeights] = plan.layout.elements * size_of(plan.type);
  if (options.training) {
    table[store::kGradients] = flat;
    for (const std::string& name : optimizer_state(options.config.optimizer)) table[name] = flat;
  }
  std::int64_t arena = 0;
  plan.for_each([&](const Program& program) {
    arena = std::max(arena, program.arena_bytes);
    for (const Instruction& instruction : program.instructions) {
      for (const auto* operands : {&instruction.inputs, &instruction.outputs}) {
        for (const Operand& operand : *operands) {
          if (operand.space == Space::kBuffer) table.emplace(operand.buffer, operand.type.bytes());
        }
      }
    }
  });
  table["arena"] = arena;
  return table;
}

void require_memory(const EnginePlan& plan, const EngineOptions& options, const Registry& registry,
                    Device& device, bool reduces) {
  const std::int64_t available = device.available_bytes();
  const std::int64_t needed = total_bytes(plan, options);
  if (needed <= available) return;
  std::string rows;
  for (const auto& [name, bytes] : memory_table(plan, options)) {
    rows += fmt::format("\n  {:<16}{:>12.1f} MiB", name, static_cast<double>(bytes) / kMebibyte);
  }
  const std::int64_t micro = options.config.batch.micro;
  const std::int64_t fits = largest_that_fits(options, registry, device, reduces, available);
  const std::string advice =
      fits > 0 ? fmt::format("The largest batch.micro that fits is {}", fits)
               : "Not even batch.micro 1 fits: use a smaller model, train.precision: bf16, or for "
                 "gpt model.recompute: layer";
  fail(ExitCode::kGpu,
       "{}: out of memory: with batch.micro {} this run takes {:.1f} MiB, and {:.1f} MiB are free. "
       "{}.{}",
       device.description(), micro, static_cast<double>(needed) / kMebibyte,
       static_cast<double>(available) / kMebibyte, advice, rows);
}

}  // namespace ingot
