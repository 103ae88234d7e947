// Reverse-mode differentiation: appends to a forward graph the ops that compute the gradient of the
// summed loss. Each op brings its own rule (Op::backward); what is decided here is where several
// contributions to one gradient meet.
#pragma once

#include <vector>

#include "runtime/program/graph.hpp"

namespace ingot {

struct Gradients {
  std::vector<ValueId> parameters;  ///< per parameter: its kGradient value, kNoValue if unused
  std::vector<int> finish_order;    ///< per parameter: index of the node that completes it
};

/// Appends the backward of every node that leads from a parameter to `loss`, the losses that are
/// summed. Gradients of parameters go to kGradient values; with `accumulate` they are added to what
/// the gradient store holds, otherwise the first contribution overwrites it.
Gradients differentiate(Graph& graph, ValueId loss, int parameter_count, bool accumulate);

/// Recomputes finish_order after later passes moved nodes.
std::vector<int> finish_order(const Graph& graph, int parameter_count);

}  // namespace ingot
