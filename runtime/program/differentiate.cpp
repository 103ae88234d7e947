#include "runtime/program/differentiate.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace ingot {

namespace {

/// Values whose gradient is wanted: parameters and everything computed from them.
std::vector<bool> depends_on_parameters(const Graph& graph) {
  std::vector<bool> depends(graph.values.size());
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    depends[v] = graph.values[v].role == Role::kParameter;
  }
  for (const GraphNode& node : graph.nodes) {
    const bool any = std::ranges::any_of(node.inputs, [&](ValueId input) {
      return input != kNoValue && depends[static_cast<std::size_t>(input)];
    });
    for (const ValueId output : node.outputs) depends[static_cast<std::size_t>(output)] = any;
  }
  return depends;
}

class Builder final : public BackwardBuilder {
 public:
  Builder(Graph& graph, Gradients& gradients, bool accumulate)
      : graph_(graph),
        gradients_(gradients),
        depends_(depends_on_parameters(graph)),
        written_(gradients.parameters.size(), accumulate) {}

  /// Emits the backward of node `index`. Nodes are addressed by index: emitting moves the vector.
  void differentiate_node(std::size_t index) {
    forward_ = graph_.nodes[index];
    graph_.set_scope("", forward_.layer);
    reads_ = forward_.op->backward_reads(forward_.attributes);
    forward_.op->backward(*this);
  }

  bool has_gradient(ValueId value) const { return gradient_.contains(value); }
  bool depends(ValueId value) const { return depends_[static_cast<std::size_t>(value)]; }

  ValueId input(int index) override {
    check_read(reads_.inputs, index, "input");
    return forward_.inputs.at(static_cast<std::size_t>(index));
  }
  ValueId output(int index) override {
    check_read(reads_.outputs, index, "output");
    return forward_.outputs.at(static_cast<std::size_t>(index));
  }
  ValueId output_gradient(int index) override {
    const auto found = gradient_.find(forward_.outputs.at(static_cast<std::size_t>(index)));
    return found == gradient_.end() ? kNoValue : found->second;
  }
  bool wanted(int input) const override {
    if (static_cast<std::size_t>(input) >= forward_.inputs.size()) return false;
    const ValueId value = forward_.inputs[static_cast<std::size_t>(input)];
    return value != kNoValue && depends(value);
  }
  const TensorType& input_type(int index) const override {
    if (static_cast<std::size_t>(index) >= forward_.inputs.size()) return absent_;
    const ValueId value = forward_.inputs[static_cast<std::size_t>(index)];
    return value == kNoValue ? absent_ : graph_.type(value);
  }
  const TensorType& output_type(int index) const override {
    return graph_.type(forward_.outputs.at(static_cast<std::size_t>(index)));
  }
  const Attributes& attributes() const override { return forward_.attributes; }

  std::vector<ValueId> emit(std::string_view op, std::vector<ValueId> inputs, Attributes attributes,
                            std::vector<int> gradient_of) override {
    std::vector<ValueId> outputs =
        graph_.add(op, std::move(inputs), std::move(attributes), forward_.label);
    const std::size_t node = graph_.nodes.size() - 1;
    graph_.nodes[node].backward = true;
    depends_.resize(graph_.values.size(), false);
    ensure(gradient_of.size() == outputs.size(), "one gradient_of entry per output");
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      if (gradient_of[o] >= 0 && wanted(gradient_of[o])) {
        outputs[o] = contribute(node, o, forward_.inputs[static_cast<std::size_t>(gradient_of[o])]);
      }
    }
    return outputs;
  }

  void pass_gradient(int input, ValueId gradient) override {
    if (!wanted(input)) return;
    const ValueId value = forward_.inputs[static_cast<std::size_t>(input)];
    ensure(graph_.value(value).role != Role::kParameter,
           "a parameter's gradient written by an op, in f32");
    const auto [found, inserted] = gradient_.emplace(value, gradient);
    if (!inserted) found->second = add(found->second, gradient);
  }

 private:
  /// Makes output o of the node a contribution to the gradient of forward value `value`; returns
  /// the value that now holds that output.
  ValueId contribute(std::size_t node_index, std::size_t o, ValueId value) {
    GraphNode& node = graph_.nodes[node_index];
    const bool can_accumulate = node.op->can_accumulate(static_cast<int>(o));
    if (graph_.value(value).role == Role::kParameter) {
      return contribute_to_parameter(node, o, graph_.value(value).parameter);
    }
    const ValueId output = node.outputs[o];
    const auto [found, inserted] = gradient_.emplace(value, output);
    if (inserted) return output;
    if (can_accumulate) {
      node.accumulate |= 1U << o;
      node.accumulated_from[o] = found->second;
      found->second = output;
    } else {
      found->second = add(found->second, output);
    }
    return output;
  }

  ValueId contribute_to_parameter(GraphNode& node, std::size_t o, int parameter) {
    const auto p = static_cast<std::size_t>(parameter);
    const TensorType type = graph_.type(node.outputs[o]);
    ValueId& gradient = gradients_.parameters[p];
    if (gradient == kNoValue) {
      gradient = graph_.add_value(type, node.label + " gradient", Role::kGradient, parameter);
      depends_.resize(graph_.values.size(), false);
    }
    ensure(graph_.type(gradient) == type && type.dtype == DType::kF32,
           "an f32 gradient of the parameter's shape");
    if (written_[p]) {
      ensure(node.op->can_accumulate(static_cast<int>(o)), "a parameter gradient that accumulates");
      node.accumulate |= 1U << o;
    }
    written_[p] = true;
    return node.outputs[o] = gradient;
  }

  ValueId add(ValueId a, ValueId b) {
    const ValueId sum = graph_.add("add", {a, b}, {}, forward_.label + " gradient sum").front();
    graph_.nodes.back().backward = true;
    depends_.resize(graph_.values.size(), false);
    return sum;
  }

  void check_read(std::uint32_t mask, int index, const char* what) const {
    if ((mask >> index & 1U) == 0) {
      fail(ExitCode::kInternal, "backward of op '{}' reads {} {}, which it does not name",
           forward_.op->name(), what, index);
    }
  }

  Graph& graph_;
  Gradients& gradients_;
  std::vector<bool> depends_;
  std::vector<bool> written_;            // per parameter: the store holds a contribution already
  std::map<ValueId, ValueId> gradient_;  // forward value -> its gradient so far
  TensorType absent_ = absent_type();
  GraphNode forward_;
  BackwardReads reads_;
};

/// An accumulated gradient replaces the memory of the value it grew from. Where somebody still
/// reads that value later (it was handed on as another gradient too), the op works on a copy.
void copy_shared_accumulators(Graph& graph) {
  std::vector<int> last_read(graph.values.size(), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId input : graph.nodes[n].inputs) {
      if (input != kNoValue) last_read[static_cast<std::size_t>(input)] = static_cast<int>(n);
    }
  }
  std::vector<GraphNode> old = std::move(graph.nodes);
  graph.nodes.clear();
  for (std::size_t n = 0; n < old.size(); ++n) {
    GraphNode& node = old[n];
    for (ValueId& from : node.accumulated_from) {
      if (from == kNoValue || last_read[static_cast<std::size_t>(from)] < static_cast<int>(n)) {
        continue;
      }
      graph.set_scope("", node.layer);
      from = graph.add("copy", {from}, {}, node.label + " gradient copy").front();
      graph.nodes.back().backward = true;
    }
    graph.nodes.push_back(std::move(node));
  }
}

}  // namespace

Gradients differentiate(Graph& graph, ValueId loss, int parameter_count, bool accumulate) {
  Gradients gradients;
  gradients.parameters.assign(static_cast<std::size_t>(parameter_count), kNoValue);
  const std::size_t forward_nodes = graph.nodes.size();
  Builder builder(graph, gradients, accumulate);
  for (std::size_t n = forward_nodes; n-- > 0;) {
    const GraphNode& node = graph.nodes[n];
    const bool contributes = std::ranges::any_of(node.outputs, [&](ValueId output) {
      return output == loss || builder.has_gradient(output);
    });
    const bool wanted = std::ranges::any_of(
        node.inputs, [&](ValueId input) { return input != kNoValue && builder.depends(input); });
    if (contributes && wanted) builder.differentiate_node(n);
  }
  copy_shared_accumulators(graph);
  gradients.finish_order = finish_order(graph, parameter_count);
  return gradients;
}

std::vector<int> finish_order(const Graph& graph, int parameter_count) {
  std::vector<int> order(static_cast<std::size_t>(parameter_count), -1);
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId output : graph.nodes[n].outputs) {
      const GraphValue& value = graph.value(output);
      if (value.role == Role::kGradient) {
        order[static_cast<std::size_t>(value.parameter)] = static_cast<int>(n);
      }
    }
  }
  return order;
}

}  // namespace ingot
