#include "runtime/program/recompute.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace ingot {

namespace {

bool droppable(const GraphNode& node, Recompute mode) {
  if (node.backward || node.layer < 0) return false;
  return mode == Recompute::kLayer || node.label.find("/attention") != std::string::npos;
}

/// Clones the dropped forward nodes of one layer, once, in front of its first backward node.
class LayerCloner {
 public:
  LayerCloner(Graph& graph, std::vector<GraphNode>& out,
              const std::map<ValueId, std::size_t>& producers, const std::vector<GraphNode>& old,
              Recompute mode)
      : graph_(graph), out_(out), producers_(producers), old_(old), mode_(mode) {}

  /// The value to read instead of `value`: a clone's output where it was dropped.
  ValueId replacement(ValueId value) {
    if (value == kNoValue) return value;
    const auto cloned = clone_of_.find(value);
    if (cloned != clone_of_.end()) return cloned->second;
    const auto produced = producers_.find(value);
    if (produced == producers_.end()) return value;
    const GraphNode& node = old_[produced->second];
    if (!droppable(node, mode_) || keeps(node, value)) return value;
    clone(node);
    return clone_of_.at(value);
  }

 private:
  /// A fused add_* norm that opens a layer: its sum is the residual stream that enters the layer,
  /// the one value that is kept.
  bool opens_layer(const GraphNode& node) const {
    if (!node.op->name().starts_with("add_")) return false;
    const auto stream = producers_.find(node.inputs.front());
    return stream == producers_.end() || old_[stream->second].layer != node.layer;
  }
  bool keeps(const GraphNode& node, ValueId value) const {
    return opens_layer(node) && node.outputs.front() == value;
  }

  void clone(const GraphNode& node) {
    GraphNode copy = node;
    copy.label += " (recomputed)";
    if (opens_layer(node)) {
      // The sum is kept: only the norm is computed again, from the sum.
      copy.op = &graph_.registry().find(node.op->name().substr(4));
      copy.inputs.erase(copy.inputs.begin());
      copy.inputs.front() = node.outputs.front();
      copy.outputs.erase(copy.outputs.begin());
      copy.accumulated_from.assign(copy.outputs.size(), kNoValue);
    }
    for (ValueId& input : copy.inputs) input = replacement(input);
    for (ValueId& output : copy.outputs) {
      const GraphValue original = graph_.value(output);
      const ValueId clone = graph_.add_value(original.type, original.name, Role::kActivation);
      clone_of_[output] = clone;
      output = clone;
    }
    out_.push_back(std::move(copy));
  }

  Graph& graph_;
  std::vector<GraphNode>& out_;
  const std::map<ValueId, std::size_t>& producers_;
  const std::vector<GraphNode>& old_;
  Recompute mode_;
  std::map<ValueId, ValueId> clone_of_;
};

}  // namespace

void recompute(Graph& graph, Recompute mode) {
  if (mode == Recompute::kNone) return;
  const std::vector<GraphNode> old = std::move(graph.nodes);
  std::map<ValueId, std::size_t> producers;
  for (std::size_t n = 0; n < old.size(); ++n) {
    if (old[n].backward) continue;
    for (const ValueId output : old[n].outputs) producers.emplace(output, n);
  }
  std::vector<GraphNode> out;
  LayerCloner cloner(graph, out, producers, old, mode);
  for (const GraphNode& original : old) {
    GraphNode node = original;
    if (node.backward) {
      for (ValueId& input : node.inputs) input = cloner.replacement(input);
    }
    out.push_back(std::move(node));
  }
  graph.nodes = std::move(out);
}

}  // namespace ingot
