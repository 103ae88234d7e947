// The update program's graph: global norm, clipping, optimizer and averaged weights over the flat
// store, or over the rank's part of it. Also which state a rank keeps in which buffer, and the
// per-chunk table of learning rate and decay.
#pragma once

#include <string>
#include <vector>

#include "runtime/config/config.hpp"
#include "runtime/program/graph.hpp"
#include "runtime/program/parallel_plan.hpp"
#include "runtime/program/parameters.hpp"
#include "runtime/program/shard.hpp"

namespace ingot {

/// Names of the flat buffers that programs over the parameter store use.
namespace store {
inline constexpr const char* kWeights = "weights";      ///< in the compute type
inline constexpr const char* kMaster = "master";        ///< f32; in f32 runs the weights themselves
inline constexpr const char* kGradients = "gradients";  ///< f32
inline constexpr const char* kMoment1 = "moment 1";     ///< f32: adamw m, lion m, sgd momentum
inline constexpr const char* kMoment2 = "moment 2";     ///< f32: adamw v
inline constexpr const char* kAverage = "average";      ///< f32: EMA of the weights
inline constexpr const char* kFactors = "chunk factors";  ///< f32 [chunks, 2]
/// Sharded only: f64 [chunks], rank by rank.
inline constexpr const char* kPartials = "norm partials";
/// Sharded, or where chunks pad the store: i32 [chunks that do not], places of partial sums.
inline constexpr const char* kOrder = "norm order";
}  // namespace store

/// The f32 state that the optimizer keeps beside master weights: names of flat buffers.
std::vector<std::string> optimizer_state(const OptimizerConfig& config);

/// A buffer that a run keeps from step to step.
struct StoreBuffer {
  std::string name;
  TensorType type;
  std::string alias_of;  ///< it is another name for the memory of this one
};

/// The buffers of one rank's parameter store. A buffer that is whole is laid out as the store is;
/// one that is not holds the rank's blocks of all buckets one after the other:
///              weights       master (f32: the weights)  gradients  moments, average
///   none       whole         whole                      whole      whole
///   optimizer  whole         part                       whole      part
///   gradients  whole         part                       part       part
///   parameters part          part                       part       part
/// With ordered sums there are `slots` gradients one after the other. `optimizer` is null where
/// nothing is trained.
std::vector<StoreBuffer> store_buffers(const StoreLayout& layout, const ParallelPlan& parallel,
                                       DType compute, const OptimizerConfig* optimizer);

/// Where the master weights of the rank's part lie in their buffer, bucket by bucket; one range
/// where it is the whole store.
std::vector<ShardRange> master_ranges(const StoreLayout& layout, const ParallelPlan& parallel,
                                      DType compute);
/// The same for moments and average.
std::vector<ShardRange> state_ranges(const StoreLayout& layout, const ParallelPlan& parallel);

/// Per chunk of the rank's part of the store: learning-rate factor and weight decay, [chunks, 2].
std::vector<float> chunk_factors(const StoreLayout& layout, const OptimizerConfig& config,
                                 const ParallelPlan& parallel = {});
/// The places of the chunks' partial sums, where the shard group gathered them or the rank has all,
/// in the order of the store and without the chunks that only pad it: the same additions whatever
/// the number of ranks.
std::vector<std::int32_t> norm_order(const StoreLayout& layout, const ParallelPlan& parallel);

/// Where a rank finds what it sums of a bucket for the norm, and where the sums belong.
struct SquareSumsPlace {
  std::int64_t gradient = 0;  ///< element of store::kGradients
  std::int64_t partials = 0;  ///< element of store::kPartials
  std::int64_t chunks = 0;
};
SquareSumsPlace square_sums_of(const StoreLayout& layout, const ParallelPlan& parallel,
                               std::size_t bucket);

struct UpdateGraph {
  Graph graph;
  std::vector<PlacedCollective> collectives;
};

/// square_sums -> finish_norm -> optimizer -> ema; several ranks have the square_sums in their last
/// micro batch. Writes the norm, the clip factor and the skip flag into the step scalars; in bf16
/// also the weights that compute reads. Sharded, ranks gather the partial sums of the norm, and
/// update their parts of the weights; the next step begins with those that they keep whole.
UpdateGraph build_update(const Registry& registry, const StoreLayout& layout,
                         const OptimizerConfig& config, DType compute,
                         const ParallelPlan& parallel = {});

}  // namespace ingot
