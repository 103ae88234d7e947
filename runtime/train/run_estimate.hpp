// A run planned for ranks that need not exist, and what one of them needs: the programs of the
// engine, read by the estimator.
#pragma once

#include "runtime/program/estimate.hpp"
#include "runtime/train/engine_plan.hpp"

namespace ingot {

/// What plans are made of.
struct PlanInputs {
  const Config& config;  ///< validated for place.ranks
  ModelData data;
  const Registry& registry;
  Device& device;  ///< whose kernels say what workspaces they want
  RankPlace place;
  /// Whether the planned run computes in the host's memory, so that what it keeps for checkpoints
  /// counts: of the device, unless it only stands in for another.
  bool host_computes = device.host_visible();
  std::int64_t exchange_bytes = 0;  ///< see EngineOptions
};

struct RunEstimate {
  MemoryTable buffers;              ///< equal to what Engine::memory().table() will hold
  std::int64_t exchange_bytes = 0;  ///< of the device, beside them; see EngineOptions
  std::vector<MemoryUse> memory;    ///< both by kind
  /// Host memory of the rank that has most of it: the copy of its part of the state that is written
  /// in the background; 0 where none is.
  std::int64_t checkpoint_buffer = 0;
  std::vector<Traffic> traffic;  ///< of a step
  StepWork work;                 ///< of a step
  std::vector<ProgramCounts> counts;

  /// Of the device.
  std::int64_t bytes() const { return total_bytes(buffers) + exchange_bytes; }
};

/// The programs of an engine that trains, and how often a step runs each.
std::vector<ProgramRuns> step_programs(const EnginePlan& plan);

RunEstimate estimate_run(const EnginePlan& plan, const EngineOptions& options);

/// RunEstimate::checkpoint_buffer.
std::int64_t checkpoint_buffer_bytes(const EnginePlan& plan, const EngineOptions& options);

/// Options and plan of the engine that a rank at that place would make.
struct PlannedRun {
  EngineOptions options;
  EnginePlan plan;
};
PlannedRun plan_run(const PlanInputs& inputs);

}  // namespace ingot
