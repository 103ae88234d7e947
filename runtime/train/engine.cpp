#include "runtime/train/engine.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <utility>

#include "runtime/program/update.hpp"
#include "runtime/train/micro_batch.hpp"

namespace ingot {

namespace {

/// Buffers that the host fills for each batch.
constexpr const char* kBatchBuffers[] = {buffer::kTokens,    buffer::kTargets,  buffer::kPositions,
                                         buffer::kDocuments, buffer::kFeatures, buffer::kCategories,
                                         buffer::kLabels,    buffer::kSamples};

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

Engine::~Engine() {
  if (std::uncaught_exceptions() > 0) return;
  for_each_shared([](auto& group, const Buffer& buffer) { group.unshare(buffer); });
}

void Engine::build(const EngineOptions& options, const Registry& registry,
                   Communicator* communicator) {
  RankPlace place;
  if (communicator != nullptr) {
    place = {communicator->size(), communicator->rank(), options.node_ranks};
  }
  parallel_ = plan_parallel(options.config, place, options.micro_batches);
  EnginePlan plan;
  const auto prepare = [&] { plan = plan_engine(options, registry, device_, parallel_); };
  if (options.around_preparation) {
    options.around_preparation(prepare);
  } else {
    prepare();
  }
  require_memory(plan, options, registry, device_);
  store_ = std::make_unique<ParameterStore>(plan.layout, plan.type, memory_, parallel_,
                                            options.training ? &options.config.optimizer : nullptr);
  for (const auto& [name, type] : engine_buffers(plan)) memory_.allocate(name, type);
  plan.for_each([&](const Program& program) {
    memory_.allocate_buffers(program);
    memory_.reserve_arena(program.arena_bytes);
  });
  memory_.allocate_arena();
  allocate_staging();
  join_groups(communicator);
  const Streams streams{compute_.get(), communication_.get()};
  micro_of_batch_ = plan.micro_of_batch;
  micros_.reserve(plan.micros.size());
  for (PreparedProgram& prepared : plan.micros) {
    micros_.emplace_back(std::move(prepared), memory_, device_, streams, communicators_);
  }
  const auto bind = [&](std::optional<Executable>& executable,
                        std::optional<PreparedProgram>& prepared) {
    if (prepared) {
      executable.emplace(std::move(*prepared), memory_, device_, streams, communicators_);
    }
  };
  bind(update_, plan.update);
  bind(evaluate_, plan.evaluate);
}

/// The groups in which ranks exchange, and the buffers that they let each other reach.
void Engine::join_groups(Communicator* communicator) {
  if (communicator == nullptr || parallel_.ranks == 1) return;
  communicators_ = {communicator, communicator, nullptr};
  if (parallel_.shard != ShardMode::kNone && parallel_.replicas() > 1) {
    const int group = parallel_.rank / parallel_.shard_ranks;
    shard_group_ = communicator->split(group, parallel_.rank);
    replicas_ = communicator->split(parallel_.shard_rank(), parallel_.rank);
    communicators_ = {communicator, shard_group_.get(), replicas_.get()};
  }
  if (parallel_.ordered) {
    ordered_ = std::make_unique<OrderedReduction>(*communicator, reduction_tree(parallel_),
                                                  parallel_.node_ranks);
    communicators_.ordered = ordered_.get();
  }
  for_each_shared([](auto& group, const Buffer& buffer) { group.share(buffer); });
}

template <typename F>
void Engine::for_each_shared(F visit) const {
  std::vector<Communicator*> groups;
  for (Communicator* group : {communicators_.all, communicators_.shard, communicators_.replicas}) {
    if (group != nullptr && std::ranges::count(groups, group) == 0) groups.push_back(group);
  }
  const auto share = [&](auto& group) {
    for (const char* name : {store::kWeights, store::kGradients, store::kPartials, buffer::kScalars,
                             buffer::kLossTable}) {
      if (memory_.has(name)) visit(group, memory_.buffer(name));
    }
    if (memory_.arena_bytes() > 0) visit(group, memory_.arena());
  };
  for (Communicator* group : groups) share(*group);
  if (ordered_) share(*ordered_);
}

void Engine::refresh_weights() {
  store_->refresh_weights(*compute_, communicators_.shard);
  weights_incomplete_ = false;
}

void Engine::complete_weights() {
  if (!std::exchange(weights_incomplete_, false)) return;
  wait_for_readers();
  store_->gather_weights(*compute_, *communicators_.shard);
}

/// Of the state as it is.
void Engine::wait_for_readers() {
  if (update_after_ != nullptr) compute_->wait(*std::exchange(update_after_, nullptr));
}

/// Host memory that batches go through and results come back to, where the host does not see the
/// device's.
void Engine::allocate_staging() {
  if (device_.host_visible()) return;
  std::int64_t batch = UploadRing::rounded(sizeof(double));  // the batch's count of targets
  for (const char* name : kBatchBuffers) {
    if (memory_.has(name)) batch += UploadRing::rounded(memory_.view(name).type.bytes());
  }
  uploads_.emplace(device_, batch);
  host_scalars_ = device_.allocate_host(sizeof(StepScalars), "step scalars");
  const auto results = [&](const char* name) {
    return device_.allocate_host(memory_.has(name) ? memory_.view(name).type.bytes() : 0, name);
  };
  host_losses_ = results(buffer::kSampleLosses);
  host_logits_ = results(buffer::kLogits);
}

void Engine::load(std::span<const HostTensor> batch) {
  if (uploads_) {
    uploads_->begin();
  } else {
    compute_->synchronize();
  }
  for (const HostTensor& tensor : batch) {
    if (!memory_.has(tensor.buffer)) continue;
    const TensorView& view = memory_.view(tensor.buffer);
    if (view.type.bytes() != tensor.bytes) {
      fail(ExitCode::kInternal, "batch buffer '{}' has {} bytes, the program expects {} ({})",
           tensor.buffer, tensor.bytes, view.type.bytes(), view.type.text());
    }
    if (uploads_) {
      uploads_->add(*compute_, view.data, tensor.data, tensor.bytes);
    } else {
      device_.copy(*compute_, view.data, tensor.data, tensor.bytes);
    }
  }
  if (!uploads_) compute_->synchronize();
}

void Engine::begin_step(const StepScalars& scalars) {
  compute_->synchronize();
  scalars_ = scalars;
  batch_of_step_ = 0;
  const void* from = &scalars_;
  if (host_scalars_.data() != nullptr) {
    std::memcpy(host_scalars_.data(), &scalars_, sizeof scalars_);
    from = host_scalars_.data();
  }
  device_.copy(*compute_, memory_.view(buffer::kScalars).data, from, sizeof scalars_);
  if (micro_batches_ > 1 && !parallel_.ordered) {
    const TensorView& gradients = memory_.view(store::kGradients);
    device_.fill_zero(*compute_, gradients.data, gradients.type.bytes());
  }
  compute_->synchronize();
}

void Engine::add_counted(double counted) {
  scalars_.counted += counted;
  auto* scalars = static_cast<std::byte*>(memory_.view(buffer::kScalars).data);
  auto* place = scalars + offsetof(StepScalars, counted);
  if (uploads_) {
    uploads_->add(*compute_, place, &scalars_.counted, sizeof scalars_.counted);
  } else {
    device_.copy(*compute_, place, &scalars_.counted, sizeof scalars_.counted);
  }
}

void Engine::run_micro(bool last) {
  const std::size_t batch = last ? micro_of_batch_.size() - 1 : batch_of_step_++;
  ensure(batch < micro_of_batch_.size(), "a program for this micro batch of the step");
  if (batch == 0 && parallel_.gathers_updated_weights()) {
    wait_for_readers();
    weights_incomplete_ = false;
  }
  run(micros_[micro_of_batch_[batch]]);
}

void Engine::run_update() {
  wait_for_readers();
  run(*update_);
  weights_incomplete_ = parallel_.gathers_updated_weights();
}

void Engine::run(Executable& executable) {
  if (trace_ == nullptr) return executable.enqueue();
  add_spans(*trace_, executable.program(), executable.run_timed());
}

StepScalars Engine::finish_step() {
  const bool staged = host_scalars_.data() != nullptr;
  void* to = staged ? host_scalars_.data() : &scalars_;
  device_.copy(*compute_, to, memory_.view(buffer::kScalars).data, sizeof scalars_);
  compute_->synchronize();
  communication_->synchronize();
  if (staged) std::memcpy(&scalars_, to, sizeof scalars_);
  return scalars_;
}

void Engine::evaluate() {
  complete_weights();
  evaluate_->enqueue();
  for (const auto& [name, host] : {std::pair(buffer::kSampleLosses, &host_losses_),
                                   std::pair(buffer::kLogits, &host_logits_)}) {
    if (host->bytes() == 0) continue;
    device_.copy(*compute_, host->data(), memory_.view(name).data, host->bytes());
  }
  compute_->synchronize();
}

/// What evaluate() left in a buffer, as the host sees it.
template <typename T>
std::span<const T> Engine::result(const char* name, const Buffer& host) const {
  const TensorView& view = memory_.view(name);
  const T* data = host.bytes() > 0 ? static_cast<const T*>(host.data()) : view.as<T>();
  return {data, static_cast<std::size_t>(view.count())};
}

std::span<const double> Engine::sample_losses() const {
  return result<double>(buffer::kSampleLosses, host_losses_);
}

std::span<const float> Engine::logits() const {
  return result<float>(buffer::kLogits, host_logits_);
}

double Engine::exposed_communication_seconds() const {
  double seconds = update_->exposed_communication_seconds();
  for (const std::size_t micro : micro_of_batch_) {
    seconds += micros_[micro].exposed_communication_seconds();
  }
  return seconds;
}

std::optional<RecordedWork> Engine::recorded_work_per_step() const {
  std::optional<RecordedWork> sum = update_->recorded_work();
  for (const std::size_t micro : micro_of_batch_) {
    const auto work = micros_[micro].recorded_work();
    if (!sum || !work) return {};
    *sum += *work;
  }
  return sum;
}

double Engine::matrix_flops_per_step() const {
  return static_cast<double>(micro_batches_) * last_micro().program().cost().matrix_flops;
}

std::vector<const Program*> Engine::programs() const {
  std::vector<const Program*> result;
  for (const Executable& executable : micros_) result.push_back(&executable.program());
  for (const auto* executable : {&update_, &evaluate_}) {
    if (executable->has_value()) result.push_back(&(*executable)->program());
  }
  return result;
}

}  // namespace ingot
