#include "runtime/train/engine.hpp"

#include <cstddef>

#include "runtime/program/differentiate.hpp"
#include "runtime/program/fuse.hpp"
#include "runtime/program/recompute.hpp"
#include "runtime/program/update.hpp"

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

}  // namespace

Engine::Engine(const EngineOptions& options, const Registry& registry, Device& device,
               Communicator* communicator)
    : device_(device),
      memory_(device),
      micro_batches_(options.micro_batches),
      compute_(device.create_stream("compute")),
      communication_(device.create_stream("communication")) {
  build(options, registry, communicator);
}

void Engine::build(const EngineOptions& options, const Registry& registry,
                   Communicator* communicator) {
  const Config& config = options.config;
  const DType type = config.train.precision == "bf16" ? DType::kBf16 : DType::kF32;
  const bool accumulates = micro_batches_ > 1;
  TrainingGraph training = build_training_graph(options, registry, type, accumulates);
  const StoreLayout layout =
      lay_out(training.model.parameters, training.finish, config.parallel.bucket);
  store_ = std::make_unique<ParameterStore>(layout, type, memory_);
  memory_.allocate(buffer::kScalars, step_scalars_type());

  std::vector<std::pair<std::optional<Executable>*, PreparedProgram>> prepared;
  const auto prepare = [&](std::optional<Executable>& executable, const Graph& graph,
                           const ScheduleOptions& schedule_options) {
    prepared.emplace_back(&executable, prepare_program(graph, layout, schedule_options, device_));
    memory_.allocate_buffers(prepared.back().second.program);
    memory_.reserve_arena(prepared.back().second.program.arena_bytes);
  };
  if (options.training) {
    store_->allocate_training_state(config.optimizer);
    // Gradients are reduced by the step's last micro batch only; with one rank there is nothing to.
    const bool reduces = communicator != nullptr && communicator->size() > 1;
    if (accumulates) prepare(micro_, training.model.graph, {.name = "micro"});
    prepare(micro_last_, training.model.graph,
            reduces ? reductions("micro_last") : ScheduleOptions{.name = "micro_last"});
    prepare(update_, build_update(registry, layout, config.optimizer, type == DType::kBf16),
            {.name = "update"});
  }
  Model evaluation = build_model(registry, config.model, options.data, ModelMode::kEvaluate, type,
                                 config.batch.micro, config.model.context);
  fuse(evaluation.graph, {evaluation.logits});
  prepare(evaluate_, evaluation.graph, {.name = "evaluate"});

  memory_.allocate_arena();
  const Streams streams{compute_.get(), communication_.get()};
  for (auto& [executable, program] : prepared) {
    executable->emplace(std::move(program), memory_, device_, streams, communicator);
  }
}

void Engine::load(std::span<const HostTensor> batch) {
  compute_->synchronize();
  for (const HostTensor& tensor : batch) {
    if (!memory_.has(tensor.buffer)) continue;
    const TensorView& view = memory_.view(tensor.buffer);
    if (view.type.bytes() != tensor.bytes) {
      fail(ExitCode::kInternal, "batch buffer '{}' has {} bytes, the program expects {} ({})",
           tensor.buffer, tensor.bytes, view.type.bytes(), view.type.text());
    }
    device_.copy(*compute_, view.data, tensor.data, tensor.bytes);
  }
  compute_->synchronize();
}

void Engine::begin_step(const StepScalars& scalars) {
  compute_->synchronize();
  scalars_ = scalars;
  device_.copy(*compute_, memory_.view(buffer::kScalars).data, &scalars_, sizeof scalars_);
  if (micro_batches_ > 1) {
    const TensorView& gradients = memory_.view(store::kGradients);
    device_.fill_zero(*compute_, gradients.data, gradients.type.bytes());
  }
  compute_->synchronize();
}

void Engine::add_counted(double counted) {
  scalars_.counted += counted;
  auto* scalars = static_cast<std::byte*>(memory_.view(buffer::kScalars).data);
  device_.copy(*compute_, scalars + offsetof(StepScalars, counted), &scalars_.counted,
               sizeof scalars_.counted);
}

void Engine::run_micro(bool last) {
  ensure(last || micro_.has_value(), "a program for micro batches before the last");
  (last ? *micro_last_ : *micro_).enqueue();
}

void Engine::run_update() {
  update_->enqueue();
}

StepScalars Engine::finish_step() {
  device_.copy(*compute_, &scalars_, memory_.view(buffer::kScalars).data, sizeof scalars_);
  compute_->synchronize();
  communication_->synchronize();
  return scalars_;
}

void Engine::evaluate() {
  evaluate_->enqueue();
  compute_->synchronize();
}

std::span<const double> Engine::sample_losses() const {
  const TensorView& view = memory_.view(buffer::kSampleLosses);
  return {view.as<double>(), static_cast<std::size_t>(view.count())};
}

std::span<const float> Engine::logits() const {
  const TensorView& view = memory_.view(buffer::kLogits);
  return {view.as<float>(), static_cast<std::size_t>(view.count())};
}

double Engine::exposed_communication_seconds() const {
  return micro_last_->exposed_communication_seconds();
}

double Engine::matrix_flops_per_step() const {
  return static_cast<double>(micro_batches_) * micro_last_->program().cost().matrix_flops;
}

std::vector<const Program*> Engine::programs() const {
  std::vector<const Program*> result;
  for (const auto* executable : {&micro_, &micro_last_, &update_, &evaluate_}) {
    if (executable->has_value()) result.push_back(&(*executable)->program());
  }
  return result;
}

}  // namespace ingot
