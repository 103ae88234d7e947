// add, cast and copy: ops without parameters that treat every element alone. Residual connections
// and the accumulation of gradients are adds; casts stand at the edges of mixed precision.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_elementwise_kernels(Registry& registry);  // elementwise_cpu.cpp
}

namespace {

/// add: a, b f[...] -> y = a + b.
class Add final : public Op {
 public:
  std::string_view name() const override { return "add"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 2, 2);
    expect(is_floating(inputs[0]) && inputs[0] == inputs[1], name(), inputs,
           "two f32 or two bf16 tensors of one shape");
    return {inputs[0]};
  }
  int in_place(int /*output*/) const override { return 0; }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    for (const int input : {0, 1}) {
      if (builder.wanted(input)) builder.pass_gradient(input, builder.output_gradient(0));
    }
  }
};

DType target_of(const Attributes& attributes) {
  const std::string& text = attributes.text("dtype");
  ensure(text == "f32" || text == "bf16", "cast to f32 or bf16");
  return text == "f32" ? DType::kF32 : DType::kBf16;
}

/// cast: x f[...]; attribute text dtype "f32" | "bf16" -> y of that type, rounded to nearest even.
class Cast final : public Op {
 public:
  std::string_view name() const override { return "cast"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 1, 1);
    expect(is_floating(inputs[0]), name(), inputs, "an f32 or bf16 tensor");
    return {{target_of(attributes), inputs[0].shape}};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 0); }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (!builder.wanted(0)) return;
    builder.emit("cast", {builder.output_gradient(0)},
                 {{"dtype", std::string(name_of(builder.input_type(0).dtype))}}, {0});
  }
};

/// copy: x -> y, the same bytes; x of any element type.
class Copy final : public Op {
 public:
  std::string_view name() const override { return "copy"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 1, 1);
    return {inputs[0]};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 0); }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (builder.wanted(0)) builder.pass_gradient(0, builder.output_gradient(0));
  }
};

}  // namespace

void register_elementwise(Registry& registry) {
  registry.add(std::make_unique<Add>());
  registry.add(std::make_unique<Cast>());
  registry.add(std::make_unique<Copy>());
  cpu::add_elementwise_kernels(registry);
}

}  // namespace ingot
