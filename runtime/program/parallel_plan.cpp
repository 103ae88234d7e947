#include "runtime/program/parallel_plan.hpp"

#include <string>

namespace ingot {

namespace {

ShardMode shard_mode(const std::string& name) {
  if (name == "optimizer") return ShardMode::kOptimizer;
  if (name == "gradients") return ShardMode::kGradients;
  if (name == "parameters") return ShardMode::kParameters;
  return ShardMode::kNone;
}

}  // namespace

ParallelPlan plan_parallel(const Config& config, const RankPlace& place,
                           std::int64_t micro_batches) {
  ensure(place.ranks > 0 && place.rank >= 0 && place.rank < place.ranks, "a rank of the job");
  ParallelPlan plan;
  plan.ranks = place.ranks;
  plan.rank = place.rank;
  plan.node_ranks = place.node_ranks;
  plan.micro_batches = micro_batches;
  plan.ordered = config.parallel.reduction == "ordered";
  if (plan.ranks > 1) {
    plan.shard = shard_mode(config.parallel.shard);
    if (config.parallel.wire == "bf16") plan.wire = DType::kBf16;
    // An ordered sum is made by the owners of blocks, whatever else is sharded.
    if (plan.shard != ShardMode::kNone || plan.ordered) plan.shard_ranks = plan.ranks;
    if (plan.shard != ShardMode::kNone && config.parallel.shard_group == "node") {
      if (place.node_ranks == 0 || plan.ranks % place.node_ranks != 0) {
        fail(ExitCode::kConfiguration,
             "parallel.shard_group: node needs equally many ranks on every node; start the job so, "
             "or use job");
      }
      plan.shard_ranks = place.node_ranks;
    }
  }
  if (plan.ordered) {
    const ReductionTree tree = reduction_tree(plan);
    plan.local_steps = tree.local_steps(plan.rank);
    plan.slots = tree.slots();
    plan.partials = tree.partials();
  }
  return plan;
}

int group_ranks(RankGroup group, const ParallelPlan& plan) {
  switch (group) {
    case RankGroup::kAll:
      return plan.ranks;
    case RankGroup::kShard:
      return plan.shard_ranks;
    case RankGroup::kReplicas:
      return plan.replicas();
  }
  return 1;
}

ReductionTree reduction_tree(const ParallelPlan& plan) {
  return {plan.micro_batches * plan.ranks, plan.ranks,
          plan.reduces_each_micro() ? MicroAssignment::kStrided : MicroAssignment::kConsecutive};
}

}  // namespace ingot
