// The update program's graph: global norm, clipping, optimizer and averaged weights over the flat
// store. Also which state an optimizer keeps, and the per-chunk table of learning rate and decay.
#pragma once

#include <string>
#include <vector>

#include "runtime/config/config.hpp"
#include "runtime/program/graph.hpp"
#include "runtime/program/parameters.hpp"

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
}  // namespace store

/// The f32 state that the optimizer keeps beside master weights: names of flat buffers.
std::vector<std::string> optimizer_state(const OptimizerConfig& config);

/// Per chunk of the store: learning-rate factor and weight decay, [chunks, 2].
std::vector<float> chunk_factors(const StoreLayout& layout, const OptimizerConfig& config);

/// square_sums -> finish_norm -> optimizer -> ema. Writes the norm, the clip factor and the skip
/// flag into the step scalars; with `separate_weights` also the bf16 weights that compute reads.
Graph build_update(const Registry& registry, const StoreLayout& layout,
                   const OptimizerConfig& config, bool separate_weights);

}  // namespace ingot
