// One rank's training step: the programs micro, micro_last, update and evaluate over one parameter
// store, with everything allocated when it is made. The loop that drives it is trainer.hpp.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ops/step_scalars.hpp"
#include "runtime/execute/executable.hpp"
#include "runtime/execute/parameter_store.hpp"
#include "runtime/execute/upload_ring.hpp"
#include "runtime/model/model.hpp"
#include "runtime/train/engine_plan.hpp"
#include "runtime/train/step_tracer.hpp"

namespace ingot {

/// One input of a batch in host memory, under the name of the buffer it belongs to.
struct HostTensor {
  const char* buffer = "";
  const void* data = nullptr;
  std::int64_t bytes = 0;
};

class Engine {
 public:
  /// `communicator` may be null for a single rank. All references outlive the engine. Collective:
  /// ranks make groups and share their buffers.
  Engine(const EngineOptions& options, const Registry& registry, Device& device,
         Communicator* communicator);
  /// Collective too, unless an exception is on its way.
  ~Engine();

  ParameterStore& store() { return *store_; }
  const ParameterStore& store() const { return *store_; }
  Stream& compute_stream() { return *compute_; }

  /// Copies a batch into the input buffers once earlier work has read them; it may change when the
  /// call returns. Names that the model
  /// does not read are passed over.
  void load(std::span<const HostTensor> batch);
  /// Makes the weights that programs read follow the master weights, after those were set by the
  /// host. Collective where ranks hold parts of them.
  void refresh_weights();
  /// Sets the scalars of a step, before its first micro batch.
  void begin_step(const StepScalars& scalars);
  /// Counts the targets of a loaded batch into the step.
  void add_counted(double counted);
  /// Forward and backward of the loaded batch; the last one of a step also reduces over ranks.
  /// Called once for each micro batch of a step, the last one with `last`.
  void run_micro(bool last);
  void run_update();
  /// What next writes weights or optimizer state begins after the event, which lives until then:
  /// something reads them.
  void update_after(Event& event) { update_after_ = &event; }
  /// Makes weights that other ranks updated this rank's before evaluate(), where only the next step
  /// would. Collective in those modes.
  void complete_weights();
  /// From now on micro batches and updates run instruction by instruction and add what they did to
  /// `trace`, computing the same bits; null ends that. It must outlive the step.
  void trace_into(StepTrace* trace) { trace_ = trace; }
  /// Waits for the step and returns its scalars, sums made global.
  StepScalars finish_step();

  /// Runs the loaded batch without gradients and waits, after complete_weights(); results are in
  /// sample_losses() and logits().
  void evaluate();
  /// Whether evaluate() is collective: ranks hold parts of the weights that it gathers.
  bool evaluates_together() const { return parallel_.shard == ShardMode::kParameters; }
  std::span<const double> sample_losses() const;
  std::span<const float> logits() const;  ///< mlp only

  /// Seconds that computation waited for communication in the last step; micro batches that run the
  /// same program count as its last run.
  double exposed_communication_seconds() const;
  /// What the recorded programs of a step start, each as often as it runs; nothing where programs
  /// are not recorded.
  std::optional<RecordedWork> recorded_work_per_step() const;
  /// Matrix FLOPs that one step of this rank executes.
  double matrix_flops_per_step() const;
  const Memory& memory() const { return memory_; }
  std::vector<const Program*> programs() const;
  const ParallelPlan& parallel() const { return parallel_; }

 private:
  void wait_for_readers();
  void build(const EngineOptions& options, const Registry& registry, Communicator* communicator);
  void join_groups(Communicator* communicator);
  void allocate_staging();
  void run(Executable& executable);
  /// Calls visit(communicator, buffer) for what ranks exchange and by what.
  template <typename F>
  void for_each_shared(F visit) const;
  Executable& last_micro() { return micros_[micro_of_batch_.back()]; }
  const Executable& last_micro() const { return micros_[micro_of_batch_.back()]; }
  template <typename T>
  std::span<const T> result(const char* name, const Buffer& host) const;

  Device& device_;
  Memory memory_;
  std::int64_t micro_batches_;
  ParallelPlan parallel_;
  std::unique_ptr<Communicator> shard_group_;  ///< where it is not all ranks
  std::unique_ptr<Communicator> replicas_;
  std::unique_ptr<OrderedReduction> ordered_;
  Communicators communicators_;
  std::unique_ptr<Stream> compute_;
  std::unique_ptr<Stream> communication_;
  std::unique_ptr<ParameterStore> store_;
  // Pinned host memory, absent where the host sees the device's.
  std::optional<UploadRing> uploads_;
  Buffer host_scalars_;
  Buffer host_losses_;
  Buffer host_logits_;
  std::vector<Executable> micros_;
  std::vector<std::size_t> micro_of_batch_;
  std::size_t batch_of_step_ = 0;  ///< micro batches that began in this step
  std::optional<Executable> update_;
  Event* update_after_ = nullptr;
  bool weights_incomplete_ = false;  ///< since an update of which ranks keep parts
  StepTrace* trace_ = nullptr;
  std::optional<Executable> evaluate_;
  StepScalars scalars_;  // the host's copy
};

}  // namespace ingot
