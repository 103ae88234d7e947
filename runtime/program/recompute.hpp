// Recomputation (activation checkpointing): drops forward values that backward reads and computes
// them again just before they are needed, trading time for memory. The clones are the same kernels
// on the same inputs, so no bit of the result changes.
#pragma once

#include "runtime/program/graph.hpp"

namespace ingot {

enum class Recompute : std::uint8_t {
  kNone,
  kLayer,     ///< keeps each layer's residual input only
  kAttention  ///< drops the projection to queries, keys, values and what follows up to the
              ///< attention's output projection
};

/// Rewrites a differentiated graph. Works layer by layer: GraphNode::layer names the unit, and
/// labels "layer N/attention..." the attention part.
void recompute(Graph& graph, Recompute mode);

}  // namespace ingot
