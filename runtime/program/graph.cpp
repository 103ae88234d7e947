#include "runtime/program/graph.hpp"

#include <utility>

namespace ingot {

ValueId Graph::add_value(TensorType type, std::string name, Role role, int parameter) {
  values.push_back({std::move(type), std::move(name), role, parameter});
  return static_cast<ValueId>(values.size() - 1);
}

std::vector<ValueId> Graph::add(std::string_view op, std::vector<ValueId> inputs,
                                Attributes attributes, std::string_view name) {
  GraphNode node;
  node.op = &registry_->find(op);
  node.attributes = std::move(attributes);
  node.inputs = std::move(inputs);
  node.label = scope_label_.empty() ? std::string(name) : scope_label_ + "/" + std::string(name);
  node.layer = scope_layer_;
  std::vector<TensorType> input_types;
  for (const ValueId input : node.inputs) {
    input_types.push_back(input == kNoValue ? absent_type() : type(input));
  }
  for (TensorType& output : node.op->infer(input_types, node.attributes)) {
    node.outputs.push_back(add_value(std::move(output), node.label, Role::kActivation));
  }
  node.accumulated_from.assign(node.outputs.size(), kNoValue);
  nodes.push_back(std::move(node));
  return nodes.back().outputs;
}

const GraphValue& Graph::value(ValueId id) const {
  ensure(id >= 0 && static_cast<std::size_t>(id) < values.size(), "a value of this graph");
  return values[static_cast<std::size_t>(id)];
}

GraphValue& Graph::value(ValueId id) {
  return const_cast<GraphValue&>(std::as_const(*this).value(id));
}

NodeTypes::NodeTypes(const Graph& graph, const GraphNode& node) : attributes(&node.attributes) {
  for (const ValueId input : node.inputs) {
    inputs.push_back(input == kNoValue ? absent_type() : graph.type(input));
  }
  for (const ValueId output : node.outputs) outputs.push_back(graph.type(output));
}

}  // namespace ingot
