#include "runtime/program/fuse.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace ingot {

namespace {

int count_readers(const Graph& graph, ValueId value) {
  int readers = 0;
  for (const GraphNode& node : graph.nodes) {
    readers += static_cast<int>(std::ranges::count(node.inputs, value));
  }
  return readers;
}

/// Index of the node that produces the value, or -1.
int producer(const Graph& graph, ValueId value) {
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (std::ranges::count(graph.nodes[n].outputs, value) > 0) return static_cast<int>(n);
  }
  return -1;
}

void remove_node(Graph& graph, int index) {
  graph.nodes.erase(graph.nodes.begin() + index);
}

/// Turns the norm at `index` into add_<norm> if its input is a sum. The fused node takes the place
/// of the add; the sum stays a value, the residual stream.
bool fuse_add_norm(Graph& graph, int index) {
  GraphNode& norm = graph.nodes[static_cast<std::size_t>(index)];
  const int add = producer(graph, norm.inputs.front());
  if (add < 0 || graph.nodes[static_cast<std::size_t>(add)].op->name() != "add") return false;
  GraphNode fused = norm;
  const GraphNode& sum = graph.nodes[static_cast<std::size_t>(add)];
  fused.op = &graph.registry().find("add_" + std::string(norm.op->name()));
  fused.inputs.erase(fused.inputs.begin());
  fused.inputs.insert(fused.inputs.begin(), sum.inputs.begin(), sum.inputs.end());
  fused.outputs.insert(fused.outputs.begin(), sum.outputs.front());
  fused.accumulated_from.assign(fused.outputs.size(), kNoValue);
  // The norm's other inputs are parameters, so it can run as early as the add did.
  graph.nodes[static_cast<std::size_t>(add)] = std::move(fused);
  remove_node(graph, index);
  return true;
}

bool fuse_linear_gelu(Graph& graph, int index, const std::vector<ValueId>& keep) {
  GraphNode& gelu = graph.nodes[static_cast<std::size_t>(index)];
  const ValueId before = gelu.inputs.front();
  const int linear = producer(graph, before);
  if (linear < 0 || graph.nodes[static_cast<std::size_t>(linear)].op->name() != "linear" ||
      count_readers(graph, before) != 1 || std::ranges::count(keep, before) > 0) {
    return false;
  }
  GraphNode& fused = graph.nodes[static_cast<std::size_t>(linear)];
  if (fused.attributes.text("activation") != "none") return false;
  fused.attributes.set("activation", std::string("gelu"));
  fused.outputs = {gelu.outputs.front(), before};
  fused.accumulated_from.assign(2, kNoValue);
  remove_node(graph, index);
  return true;
}

/// Turns the gelu_backward at `index` into linear_backward_gelu if its gradient comes straight from
/// a linear_backward_input.
bool fuse_linear_backward_gelu(Graph& graph, int index) {
  const GraphNode& gelu = graph.nodes[static_cast<std::size_t>(index)];
  const ValueId gradient = gelu.inputs.front();
  const int linear = producer(graph, gradient);
  if (linear < 0 || gelu.accumulate != 0 || count_readers(graph, gradient) != 1) return false;
  const GraphNode& product = graph.nodes[static_cast<std::size_t>(linear)];
  if (product.op->name() != "linear_backward_input" || product.accumulate != 0) return false;
  GraphNode fused = product;
  fused.op = &graph.registry().find("linear_backward_gelu");
  fused.inputs.push_back(gelu.inputs[1]);
  fused.outputs = gelu.outputs;
  // Nothing stands between the two that the gradient's way depends on, so either place would do.
  graph.nodes[static_cast<std::size_t>(linear)] = std::move(fused);
  remove_node(graph, index);
  return true;
}

}  // namespace

void fuse(Graph& graph, const std::vector<ValueId>& keep) {
  for (int index = 0; index < static_cast<int>(graph.nodes.size());) {
    const std::string name(graph.nodes[static_cast<std::size_t>(index)].op->name());
    bool fused = false;
    if (name == "layernorm" || name == "rmsnorm") fused = fuse_add_norm(graph, index);
    if (name == "gelu") fused = fuse_linear_gelu(graph, index, keep);
    // After a fusion another node stands at `index`.
    if (!fused) ++index;
  }
}

void fuse_backward(Graph& graph) {
  for (int index = 0; index < static_cast<int>(graph.nodes.size());) {
    const bool candidate =
        graph.nodes[static_cast<std::size_t>(index)].op->name() == "gelu_backward";
    if (!candidate || !fuse_linear_backward_gelu(graph, index)) ++index;
  }
}

}  // namespace ingot
