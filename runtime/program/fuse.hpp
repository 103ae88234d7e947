// Fusion: replaces pairs of ops by one op that saves a pass over memory. Forward ops are fused
// before differentiation, so that the fused op brings its own backward; the same fused graph serves
// every device.
#pragma once

#include "runtime/program/graph.hpp"

namespace ingot {

/// add + layernorm -> add_layernorm, add + rmsnorm -> add_rmsnorm, linear + gelu -> linear with
/// gelu. `keep` are values that must still exist afterwards, outputs of the whole graph for
/// instance.
void fuse(Graph& graph, const std::vector<ValueId>& keep);

/// linear_backward_input + gelu_backward -> linear_backward_gelu, in a differentiated graph.
void fuse_backward(Graph& graph);

}  // namespace ingot
