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
};

struct RunEstimate {
  MemoryTable buffers;            ///< equal to what Engine::memory().table() will hold
  std::vector<MemoryUse> memory;  ///< the same by kind
  std::vector<Traffic> traffic;   ///< of a step
  StepWork work;                  ///< of a step

  std::int64_t bytes() const { return total_bytes(buffers); }
};

/// The programs of an engine that trains, and how often a step runs each.
std::vector<ProgramRuns> step_programs(const EnginePlan& plan);

RunEstimate estimate_run(const EnginePlan& plan, const EngineOptions& options);

/// Options and plan of the engine that a rank at that place would make.
struct PlannedRun {
  EngineOptions options;
  EnginePlan plan;
};
PlannedRun plan_run(const PlanInputs& inputs);

}  // namespace ingot
