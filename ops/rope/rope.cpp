// Rotary position embedding on packed queries, keys and values (Su et al., "RoFormer", 2021), in
// the convention of Hugging Face's Llama: element i of a head is rotated together with element
// i + D/2, by the angle position * base^(-2i/D).
#include <memory>

#include "ops/contract.hpp"
#include "ops/op.hpp"
#include "ops/rope/rope_cpu.hpp"

namespace ingot {

namespace {

/// rope: x f[B, T, (H + 2G) * D] with H query, G key and G value heads, positions i32[B, T] -> y of
/// x's type. Query and key heads are rotated, value heads copied. Attributes: integers heads (H),
/// kv_heads (G), direction (1, or -1 for the inverse rotation), real base (10000 in Llama 2).
/// Rotations are orthogonal, so the backward is rope in the other direction.
class Rope final : public Op {
 public:
  std::string_view name() const override { return "rope"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& x = inputs[0];
    const std::int64_t heads = attributes.integer("heads");
    const std::int64_t kv_heads = attributes.integer("kv_heads");
    const std::int64_t direction = attributes.integer("direction");
    expect(heads > 0 && kv_heads > 0 && attributes.real("base") > 0 &&
               (direction == 1 || direction == -1),
           name(), inputs, "attributes heads, kv_heads and base above 0, direction 1 or -1");
    expect(is_floating(x) && x.shape.rank() == 3 && x.shape[2] > 0 &&
               x.shape[2] % (heads + 2 * kv_heads) == 0 &&
               x.shape[2] / (heads + 2 * kv_heads) % 2 == 0,
           name(), inputs, "x f[B, T, (H + 2G) * D] with an even D");
    expect(inputs[1] == TensorType{DType::kI32, Shape{x.shape[0], x.shape[1]}}, name(), inputs,
           "positions i32[B, T]");
    return {x};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 3); }
  int in_place(int /*output*/) const override { return 0; }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {.inputs = 0b10};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    const ValueId dy = builder.output_gradient(0);
    if (dy == kNoValue || !builder.wanted(0)) return;
    Attributes attributes = builder.attributes();
    attributes.set("direction", -attributes.integer("direction"));
    builder.emit("rope", {dy, builder.input(1)}, attributes, {0});
  }
};

}  // namespace

void register_rope(Registry& registry) {
  registry.add(std::make_unique<Rope>());
  registry.add_kernel("rope", DeviceKind::kCpu, cpu::prepare_rope);
}

}  // namespace ingot
