#include "runtime/train/engine_plan.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>

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

/// The sums of a step that ranks add up once its last micro batch has them.
PlacedCollective reduce_step_sums(std::size_t after_node) {
  Instruction reduce;
  reduce.kind = InstructionKind::kAllReduce;
  reduce.label = "step sums";
  reduce.what = "step sums";
  const Operand sums = {Space::kBuffer,
                        static_cast<std::int64_t>(offsetof(StepScalars, loss_sum)),
                        buffer::kScalars,
                        {DType::kF64, Shape{kStepSums}}};
  reduce.inputs = {sums};
  reduce.outputs = {sums};
  return {after_node, std::move(reduce)};
}

/// The losses of all ranks' micro batches, for a sum in their order.
PlacedCollective gather_losses(std::size_t after_node, const ParallelPlan& parallel) {
  Instruction gather;
  gather.kind = InstructionKind::kAllGather;
  gather.label = "losses";
  gather.what = "losses";
  const std::int64_t own = parallel.micro_batches;
  gather.inputs = {{Space::kBuffer,
                    parallel.rank * own * size_of(DType::kF64),
                    buffer::kLossTable,
                    {DType::kF64, Shape{own}}}};
  gather.outputs = {
      {Space::kBuffer, 0, buffer::kLossTable, {DType::kF64, Shape{parallel.ranks * own}}}};
  return {after_node, std::move(gather)};
}

/// Makes the graph note the loss of each micro batch instead of adding it to the step's.
void record_losses(Graph& graph, const ParallelPlan& parallel) {
  GraphNode& node = graph.nodes[last_node_of(graph, "accumulate_loss")];
  node.op = &graph.registry().find("record_loss");
  const std::int64_t own = parallel.micro_batches;
  const ValueId table =
      graph.add_value({DType::kF64, Shape{own}}, buffer::kLossTable, Role::kState);
  graph.value(table).offset = parallel.rank * own * size_of(DType::kF64);
  node.inputs.push_back(table);
}

/// And adds them up, over all ranks.
void sum_losses(Graph& graph, const ParallelPlan& parallel) {
  const ValueId scalars = graph.nodes[last_node_of(graph, "record_loss")].inputs[1];
  const ValueId table =
      graph.add_value({DType::kF64, Shape{parallel.ranks * parallel.micro_batches}},
                      buffer::kLossTable, Role::kState);
  const std::int64_t interleaved = parallel.reduces_each_micro() ? parallel.ranks : 1;
  graph.set_scope("", -1);
  graph.add("sum_losses", {table, scalars}, {{"interleaved", interleaved}}, "loss of the step");
}

/// What one micro batch of a step does differently from another.
struct MicroVariant {
  bool gathers = false;  ///< weights
  bool last = false;
  LocalStep local;

  friend bool operator==(const MicroVariant& a, const MicroVariant& b) {
    return a.gathers == b.gathers && a.last == b.last && a.local.slot == b.local.slot &&
           a.local.merges == b.local.merges;
  }
};

PlacementOptions micro_options(const MicroVariant& variant, const ParallelPlan& parallel,
                               const Graph& graph) {
  PlacementOptions options;
  options.name = variant.last ? "micro_last" : variant.gathers ? "micro_first" : "micro";
  options.gathers_weights = variant.gathers;
  options.parallel = parallel;
  options.gradients.reduces = parallel.ranks > 1 && (variant.last || parallel.reduces_each_micro());
  options.gradients.adds = parallel.micro_batches > 1;
  options.gradients.slot = variant.local.slot;
  options.gradients.merges = variant.local.merges;
  options.gradients.sums_squares = parallel.ranks > 1 && variant.last;
  if (!variant.last || parallel.ranks == 1) return options;
  const std::size_t node =
      last_node_of(graph, parallel.ordered ? "record_loss" : "accumulate_loss");
  options.collectives.push_back(reduce_step_sums(node));
  if (parallel.ordered) options.collectives.push_back(gather_losses(node, parallel));
  return options;
}

/// The programs of a step's micro batches.
void plan_micros(EnginePlan& plan, Graph graph, Device& device) {
  const ParallelPlan& parallel = plan.parallel;
  if (parallel.ordered) record_losses(graph, parallel);
  Graph last = graph;
  if (parallel.ordered) sum_losses(last, parallel);
  std::vector<MicroVariant> variants;
  for (std::int64_t a = 0; a < parallel.micro_batches; ++a) {
    MicroVariant variant;
    variant.gathers = a == 0 && parallel.gathers_updated_weights();
    variant.last = a + 1 == parallel.micro_batches;
    if (parallel.ordered) variant.local = parallel.local_steps.at(static_cast<std::size_t>(a));
    const auto known = std::ranges::find(variants, variant);
    plan.micro_of_batch.push_back(static_cast<std::size_t>(known - variants.begin()));
    if (known != variants.end()) continue;
    const Graph& of_variant = variant.last ? last : graph;
    plan.micros.push_back(prepare_program(of_variant, plan.layout,
                                          micro_options(variant, parallel, of_variant), device));
    variants.push_back(std::move(variant));
  }
}

}  // namespace

EnginePlan plan_engine(const EngineOptions& options, const Registry& registry, Device& device,
                       const ParallelPlan& parallel) {
  const Config& config = options.config;
  EnginePlan plan;
  plan.type = config.train.precision == "bf16" ? DType::kBf16 : DType::kF32;
  plan.parallel = parallel;
  // An ordered sum takes every micro batch's gradient by itself; one that is kept in the arena is
  // written anew by each.
  const bool accumulates =
      parallel.micro_batches > 1 && !parallel.ordered && !parallel.reduces_each_micro();
  TrainingGraph training = build_training_graph(options, registry, plan.type, accumulates);
  plan.layout = lay_out(training.model.parameters, training.finish, config.parallel.bucket,
                        parallel.shard_ranks);
  const auto prepare = [&](const Graph& graph, const PlacementOptions& placement) {
    return prepare_program(graph, plan.layout, placement, device);
  };
  if (options.training) {
    plan_micros(plan, std::move(training.model.graph), device);
    UpdateGraph update = build_update(registry, plan.layout, config.optimizer, plan.type, parallel);
    plan.update = prepare(
        update.graph,
        {.name = "update", .parallel = parallel, .collectives = std::move(update.collectives)});
  }
  Model evaluation = build_model(registry, config.model, options.data, ModelMode::kEvaluate,
                                 plan.type, config.batch.micro, config.model.context);
  fuse(evaluation.graph, {evaluation.logits});
  plan.evaluate = prepare(evaluation.graph, {.name = "evaluate", .parallel = parallel});
  return plan;
}

std::vector<std::pair<std::string, TensorType>> engine_buffers(const EnginePlan& plan) {
  std::vector<std::pair<std::string, TensorType>> buffers;
  buffers.emplace_back(buffer::kScalars, step_scalars_type());
  if (plan.parallel.ordered && !plan.micros.empty()) {
    const std::int64_t losses = plan.parallel.ranks * plan.parallel.micro_batches;
    buffers.emplace_back(buffer::kLossTable, TensorType{DType::kF64, Shape{losses}});
  }
  return buffers;
}

std::vector<std::pair<std::string, std::int64_t>> memory_table(const EnginePlan& plan,
                                                               const EngineOptions& options) {
  std::map<std::string, std::int64_t> table;
  std::set<std::string> aliases;
  for (const StoreBuffer& buffer :
       store_buffers(plan.layout, plan.parallel, plan.type,
                     options.training ? &options.config.optimizer : nullptr)) {
    if (!buffer.alias_of.empty()) aliases.insert(buffer.name);
    if (buffer.alias_of.empty()) table[buffer.name] = buffer.type.bytes();
  }
  for (const auto& [name, type] : engine_buffers(plan)) table[name] = type.bytes();
  std::int64_t arena = 0;
  plan.for_each([&](const Program& program) {
    arena = std::max(arena, program.arena_bytes);
    for (const Instruction& instruction : program.instructions) {
      for (const auto* operands : {&instruction.inputs, &instruction.outputs}) {
        for (const Operand& operand : *operands) {
          if (operand.space != Space::kBuffer || aliases.contains(operand.buffer)) continue;
          table.emplace(operand.buffer, operand.type.bytes());
        }
      }
    }
  });
  std::vector<std::pair<std::string, std::int64_t>> rows;
  for (const auto& [name, bytes] : table) {
    rows.emplace_back(name, std::max(bytes, Memory::kSmallestBuffer));
  }
  rows.emplace_back("arena", arena);
  return rows;
}

}  // namespace ingot
