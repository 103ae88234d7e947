#include "runtime/train/run_estimate.hpp"

#include <algorithm>

#include "runtime/checkpoint/background_save.hpp"
#include "runtime/config/validate.hpp"

namespace ingot {

std::vector<ProgramRuns> step_programs(const EnginePlan& plan) {
  std::vector<ProgramRuns> programs;
  for (std::size_t micro = 0; micro < plan.micros.size(); ++micro) {
    programs.push_back(
        {&plan.micros[micro].program, std::ranges::count(plan.micro_of_batch, micro)});
  }
  if (plan.update) programs.push_back({&plan.update->program, 1});
  if (plan.evaluate) programs.push_back({&plan.evaluate->program, 0});
  return programs;
}

RunEstimate estimate_run(const EnginePlan& plan, const EngineOptions& options) {
  const std::vector<ProgramRuns> programs = step_programs(plan);
  RunEstimate estimate;
  estimate.buffers = memory_table(plan, options);
  estimate.memory = memory_by_kind(estimate.buffers, programs, plan.parallel.slots);
  estimate.exchange_bytes = options.exchange_bytes;
  if (options.exchange_bytes > 0) {
    estimate.memory.push_back({MemoryKind::kSmallExchanges, options.exchange_bytes});
  }
  estimate.traffic = step_traffic(programs, plan.parallel);
  estimate.work = step_work(programs);
  estimate.counts = program_counts(programs);
  estimate.checkpoint_buffer = checkpoint_buffer_bytes(plan, options);
  return estimate;
}

std::int64_t checkpoint_buffer_bytes(const EnginePlan& plan, const EngineOptions& options) {
  if (!options.training || !saves_in_background(options.config.checkpoint)) return 0;
  std::int64_t most = 0;
  ParallelPlan parallel = plan.parallel;
  for (parallel.rank = 0; parallel.rank < parallel.ranks; ++parallel.rank) {
    StateView state{plan.layout, {}};
    const auto add = [&](const std::string& name, const std::vector<ShardRange>& ranges) {
      StateKind kind{name};
      if (parallel.shard != ShardMode::kNone) {
        for (const ShardRange& range : ranges) {
          kind.held.push_back({range.flat, range.local, range.count});
        }
        kind.replica = parallel.rank / parallel.shard_ranks;
        kind.replicas = parallel.replicas();
      }
      state.kinds.push_back(std::move(kind));
    };
    add("weights", master_ranges(plan.layout, parallel, plan.type));
    for (const std::string& name : optimizer_state(options.config.optimizer)) {
      add(name, state_ranges(plan.layout, parallel));
    }
    most = std::max(most, snapshot_bytes(state, parallel.rank, parallel.ranks));
  }
  return most;
}

PlannedRun plan_run(const PlanInputs& inputs) {
  PlannedRun run;
  run.options.config = inputs.config;
  run.options.data = inputs.data;
  run.options.micro_batches = accumulation_steps(inputs.config, inputs.place.ranks);
  run.options.node_ranks = inputs.place.node_ranks;
  run.options.exchange_bytes = inputs.exchange_bytes;
  run.plan = plan_engine(run.options, inputs.registry, inputs.device,
                         plan_parallel(inputs.config, inputs.place, run.options.micro_batches));
  return run;
}

}  // namespace ingot
