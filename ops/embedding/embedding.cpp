// Look-up of token and position vectors, and its gradient: rows of dy summed by index.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_embedding_kernels(Registry& registry);  // embedding_cpu.cpp
}

namespace {

/// embedding: tokens i32[B,T], table f[V,C], positions? i32[B,T], position_table? f[P,C]
///   -> f[B,T,C] = table[tokens] + position_table[positions]
/// An index outside its table ends the step with Error(kBadData).
class Embedding final : public Op {
 public:
  std::string_view name() const override { return "embedding"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 2, 4);
    const TensorType& tokens = inputs[0];
    const TensorType& table = inputs[1];
    expect(tokens.dtype == DType::kI32 && tokens.shape.rank() == 2, name(), inputs,
           "tokens i32 [B, T]");
    expect(is_floating(table) && table.shape.rank() == 2, name(), inputs,
           "a table f32 or bf16 [V, C]");
    expect(present(inputs, 2) == present(inputs, 3), name(), inputs,
           "positions and their table, or neither");
    if (present(inputs, 2)) {
      expect(inputs[2] == tokens, name(), inputs, "positions like tokens");
      expect(inputs[3].dtype == table.dtype && inputs[3].shape.rank() == 2 &&
                 inputs[3].shape[1] == table.shape[1],
             name(), inputs, "a position table [P, C] of the table's element type");
    }
    return {{table.dtype, Shape{tokens.shape[0], tokens.shape[1], table.shape[1]}}};
  }
  /// Reads only the rows that are looked up.
  Cost cost(const OpTypes& types) const override {
    const TensorType& y = types.outputs[0];
    Cost cost{.bytes_read = types.inputs[0].bytes() + y.bytes(), .bytes_written = y.bytes()};
    if (types.has_input(2)) {
      cost.bytes_read += types.inputs[2].bytes() + y.bytes();
      cost.other_flops = static_cast<double>(y.count());
    }
    return cost;
  }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b101, 0};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    for (const int table : {1, 3}) {
      if (!builder.wanted(table)) continue;
      builder.emit("embedding_backward", {builder.input(table - 1), builder.output_gradient(0)},
                   {{"rows", builder.input_type(table).shape[0]}}, {table});
    }
  }
};

/// embedding_backward: indices i32[B,T], dy f[B,T,C]; attribute integer rows V
///   -> dtable f32[V,C]: row v is the sum of dy where the index is v, in the order of [B,T].
class EmbeddingBackward final : public Op {
 public:
  std::string_view name() const override { return "embedding_backward"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& indices = inputs[0];
    const TensorType& dy = inputs[1];
    expect(indices.dtype == DType::kI32 && indices.shape.rank() == 2, name(), inputs,
           "indices i32 [B, T]");
    expect(is_floating(dy) && dy.shape.rank() == 3 && dy.shape[0] == indices.shape[0] &&
               dy.shape[1] == indices.shape[1],
           name(), inputs, "dy f32 or bf16 [B, T, C]");
    return {{DType::kF32, Shape{attributes.integer("rows"), dy.shape[2]}}};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = static_cast<double>(types.inputs[1].count());
    return cost;
  }
  bool can_accumulate(int /*output*/) const override { return true; }
};

}  // namespace

void register_embedding(Registry& registry) {
  registry.add(std::make_unique<Embedding>());
  registry.add(std::make_unique<EmbeddingBackward>());
  cpu::add_embedding_kernels(registry);
}

}  // namespace ingot
