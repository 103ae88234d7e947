// How the ranks of a run share its state and its gradients: a plain value, so that programs can be
// planned for ranks that do not exist.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/algorithms/reduction_tree.hpp"
#include "ops/tensor.hpp"
#include "runtime/config/config.hpp"

namespace ingot {

/// What every rank keeps only its part of; each mode includes the ones before it (ZeRO 1, 2 and 3:
/// Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
/// 2020).
enum class ShardMode : std::uint8_t { kNone, kOptimizer, kGradients, kParameters };

/// Which ranks take part in a collective.
enum class RankGroup : std::uint8_t {
  kAll,
  kShard,    ///< those that hold one whole state between them
  kReplicas  ///< those that hold the same part of it
};

/// One rank's place among the ranks of a job.
struct RankPlace {
  int ranks = 1;
  int rank = 0;
  int node_ranks = 1;  ///< of every node; ranks are numbered node by node. 0: nodes differ
};

struct ParallelPlan {
  int ranks = 1;
  int rank = 0;
  ShardMode shard = ShardMode::kNone;
  int node_ranks = 1;   ///< as RankPlace::node_ranks
  int shard_ranks = 1;  ///< of the shard group: what a bucket is cut for; 1: it is not
  bool ordered = false;
  DType wire = DType::kF32;        ///< in which gradients travel
  std::int64_t micro_batches = 1;  ///< of this rank per step
  // Ordered only.
  std::vector<LocalStep> local_steps;  ///< by micro batch of this rank
  int slots = 1;                       ///< partial gradients that are kept at once
  int partials = 1;                    ///< of them, those that travel

  int shard_rank() const { return rank % shard_ranks; }
  int replicas() const { return ranks / shard_ranks; }
  /// Whether a micro batch's gradients are reduced to the rank's part at once.
  bool reduces_each_micro() const { return shard >= ShardMode::kGradients; }
  /// Whether ranks keep whole weights of which each updates its part: the first micro batch of a
  /// step gathers the others'.
  bool gathers_updated_weights() const {
    return shard == ShardMode::kOptimizer || shard == ShardMode::kGradients;
  }
  /// Elements of the f32 buffers that the optimizer works on, of a store of `elements`.
  std::int64_t state_elements(std::int64_t elements) const {
    return shard == ShardMode::kNone ? elements : elements / shard_ranks;
  }
};

/// Ranks that take part in a collective of this group.
int group_ranks(RankGroup group, const ParallelPlan& plan);

/// The plan for one rank of a validated configuration. A single rank shards nothing.
ParallelPlan plan_parallel(const Config& config, const RankPlace& place,
                           std::int64_t micro_batches);

/// The tree of an ordered reduction of that plan's gradients.
ReductionTree reduction_tree(const ParallelPlan& plan);

}  // namespace ingot
