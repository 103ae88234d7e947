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

namespace ingot {

/// One input of a batch in host memory, under the name of the buffer it belongs to.
struct HostTensor {
  const char* buffer = "";
  const void* data = nullptr;
  std::int64_t bytes = 0;
};

class Engine {
 public:
  /// `communicator` may be null for a single rank. All references outlive the engine.
  Engine(const EngineOptions& options, const Registry& registry, Device& device,
         Communicator* communicator);

  ParameterStore& store() { return *store_; }
  const ParameterStore& store() const { return *store_; }
  Stream& compute_stream() { return *compute_; }

  /// Copies a batch into the input buffers once earlier work has read them; it may change when the
  /// call returns. Names that the model
  /// does not read are passed over.
  void load(std::span<const HostTensor> batch);
  /// Sets the scalars of a step, before its first micro batch.
  void begin_step(const StepScalars& scalars);
  /// Counts the targets of a loaded batch into the step.
  void add_counted(double counted);
  /// Forward and backward of the loaded batch; the last one of a step also reduces over ranks.
  void run_micro(bool last);
  /// run_micro(true), and when each of its instructions ran; see Executable::run_timed().
  std::vector<TimedInstruction> run_micro_timed() { return micro_last_->run_timed(); }
  void run_update();
  /// Waits for the step and returns its scalars, sums made global.
  StepScalars finish_step();

  /// Runs the loaded batch without gradients and waits; results are in sample_losses() and
  /// logits().
  void evaluate();
  std::span<const double> sample_losses() const;
  std::span<const float> logits() const;  ///< mlp only

  double exposed_communication_seconds() const;
  /// Matrix FLOPs that one step of this rank executes.
  double matrix_flops_per_step() const;
  const Memory& memory() const { return memory_; }
  std::vector<const Program*> programs() const;

 private:
  void build(const EngineOptions& options, const Registry& registry, Communicator* communicator);
  void allocate_staging();
  template <typename T>
  std::span<const T> result(const char* name, const Buffer& host) const;

  Device& device_;
  Memory memory_;
  std::int64_t micro_batches_;
  std::unique_ptr<Stream> compute_;
  std::unique_ptr<Stream> communication_;
  std::unique_ptr<ParameterStore> store_;
  // Pinned host memory, absent where the host sees the device's.
  std::optional<UploadRing> uploads_;
  Buffer host_scalars_;
  Buffer host_losses_;
  Buffer host_logits_;
  std::optional<Executable> micro_;
  std::optional<Executable> micro_last_;
  std::optional<Executable> update_;
  std::optional<Executable> evaluate_;
  StepScalars scalars_;  // the host's copy
};

}  // namespace ingot
