// A graph of ops: what a model computes, before anything is decided about memory, order or devices.
// Values are in static single assignment form; nodes stand in an order in which they can run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/op.hpp"

namespace ingot {

/// Where a value's memory comes from, and so how long it lives.
enum class Role : std::uint8_t {
  kInput,       ///< written by the host before each run: tokens, step scalars
  kParameter,   ///< in the parameter store, as compute reads it (f32 or bf16)
  kGradient,    ///< the f32 gradient of a parameter, in the gradient store
  kState,       ///< lives between runs and is mutated by ops: moments, KV cache
  kActivation,  ///< in the arena, from its producer to its last reader
  kOutput       ///< read by the host after a run
};

struct GraphValue {
  TensorType type;
  std::string name;
  Role role = Role::kActivation;
  /// Number of the parameter in the store for kParameter and kGradient; of the named input, state
  /// or output buffer otherwise unused.
  int parameter = -1;
  /// For kInput, kState and kOutput: bytes of the named buffer in front of the value.
  std::int64_t offset = 0;
};

struct GraphNode {
  const Op* op = nullptr;
  Attributes attributes;
  std::vector<ValueId> inputs;  ///< kNoValue for an absent optional input
  std::vector<ValueId> outputs;
  /// Bit o: output o adds to what its memory holds. For an activation, that is the value
  /// accumulated_from[o], which the output replaces.
  std::uint32_t accumulate = 0;
  std::vector<ValueId> accumulated_from;  ///< per output; kNoValue where not an activation
  std::string label;                      ///< "layer 3/attention", for traces and errors
  int layer = -1;  ///< transformer layer or -1: the unit of recomputation and sharding
  bool backward = false;
};

class Graph {
 public:
  explicit Graph(const Registry& registry) : registry_(&registry) {}

  ValueId add_value(TensorType type, std::string name, Role role, int parameter = -1);
  /// Adds a node of op `op`; its outputs are new activations. Labels and layer come from scope().
  std::vector<ValueId> add(std::string_view op, std::vector<ValueId> inputs, Attributes attributes,
                           std::string_view name);
  /// Where following nodes belong.
  void set_scope(std::string label, int layer) {
    scope_label_ = std::move(label);
    scope_layer_ = layer;
  }

  const GraphValue& value(ValueId id) const;
  GraphValue& value(ValueId id);
  const TensorType& type(ValueId id) const { return value(id).type; }
  const Registry& registry() const { return *registry_; }

  std::vector<GraphValue> values;
  std::vector<GraphNode> nodes;

 private:
  const Registry* registry_;
  std::string scope_label_;
  int scope_layer_ = -1;
};

/// The types of a node's inputs and outputs, absent inputs as OpTypes describes them.
struct NodeTypes {
  NodeTypes(const Graph& graph, const GraphNode& node);
  OpTypes op_types() const { return {inputs, outputs, *attributes}; }

  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  const Attributes* attributes;
};

/// The type that stands for an absent optional input.
inline TensorType absent_type() {
  return {DType::kU8, Shape{0}};
}

}  // namespace ingot
