// Layer normalisation over the last dimension, alone and fused with the residual add before it.
// Source: Ba, Kiros, Hinton, "Layer Normalization", 2016.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_layernorm_kernels(Registry& registry);  // layernorm_cpu.cpp
}

namespace {

/// Checks x, and gamma and the optional beta at inputs `gamma` and `gamma` + 1.
void expect_norm_types(std::string_view op, std::span<const TensorType> inputs, std::size_t gamma) {
  const TensorType& x = inputs[0];
  expect(is_floating(x) && x.shape.rank() > 0 && x.shape[-1] > 0, op, inputs,
         "x f32 or bf16 [..., C] with C > 0");
  const TensorType parameter{x.dtype, Shape{x.shape[-1]}};
  expect(inputs[gamma] == parameter, op, inputs, "gamma [C] of x's element type");
  expect(!present(inputs, gamma + 1) || inputs[gamma + 1] == parameter, op, inputs,
         "beta [C] of x's element type or none");
}

/// The type of a statistic of each row: f32[...] for x[..., C].
TensorType row_type(const TensorType& x) {
  return {DType::kF32, Shape(x.shape.extents().first(x.shape.extents().size() - 1))};
}

Attributes backward_attributes(bool has_bias) {
  return {{"bias", static_cast<std::int64_t>(has_bias ? 1 : 0)}};
}

/// layernorm: x f[...,C], gamma f[C], beta? f[C]; attribute real epsilon
///   -> y f[...,C], mean f32[...], rstd f32[...]
/// y = (x - mean) rstd gamma + beta, with rstd = 1 / sqrt(variance + epsilon).
class Layernorm final : public Op {
 public:
  std::string_view name() const override { return "layernorm"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 3);
    expect_norm_types(name(), inputs, 1);
    attributes.real("epsilon");
    return {inputs[0], row_type(inputs[0]), row_type(inputs[0])};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = 8 * static_cast<double>(types.outputs[0].count());
    return cost;
  }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b011, 0b110};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    const ValueId dy = builder.output_gradient(0);
    if (dy == kNoValue) return;
    const bool has_bias = builder.wanted(2);
    builder.emit(
        "layernorm_backward",
        {dy, builder.input(0), builder.output(1), builder.output(2), builder.input(1), kNoValue},
        backward_attributes(has_bias),
        has_bias ? std::vector<int>{0, 1, 2} : std::vector<int>{0, 1});
  }
};

/// add_layernorm: a, b f[...,C], gamma f[C], beta? f[C]; attribute real epsilon
///   -> sum f[...,C] = a + b, y f[...,C] = layernorm(sum), mean f32[...], rstd f32[...]
class AddLayernorm final : public Op {
 public:
  std::string_view name() const override { return "add_layernorm"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 3, 4);
    expect_norm_types(name(), inputs, 2);
    expect(inputs[0] == inputs[1], name(), inputs, "a and b of one type");
    attributes.real("epsilon");
    return {inputs[0], inputs[0], row_type(inputs[0]), row_type(inputs[0])};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = 9 * static_cast<double>(types.outputs[0].count());
    return cost;
  }
  int in_place(int output) const override { return output == 0 ? 0 : -1; }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b0100, 0b1101};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    const ValueId dsum = builder.output_gradient(0);
    const ValueId dy = builder.output_gradient(1);
    ValueId gradient = dsum;  // of a and of b
    if (dy == kNoValue) {
      if (dsum == kNoValue) return;
    } else {
      // A temporary, handed on to both: were it added to an earlier gradient of a, b would get that
      // gradient too.
      const bool has_bias = builder.wanted(3);
      gradient = builder.emit(
          "layernorm_backward",
          {dy, builder.output(0), builder.output(2), builder.output(3), builder.input(2), dsum},
          backward_attributes(has_bias),
          has_bias ? std::vector<int>{-1, 2, 3} : std::vector<int>{-1, 2})[0];
    }
    for (const int input : {0, 1}) {
      if (builder.wanted(input)) builder.pass_gradient(input, gradient);
    }
  }
};

/// layernorm_backward: dy, x f[...,C], mean, rstd f32[...], gamma f[C], residual_gradient?
/// f[...,C]; attribute integer bias 0|1 -> dx f[...,C] = norm gradient + residual_gradient, dgamma
/// f32[C] and, with bias, dbeta f32[C].
class LayernormBackward final : public Op {
 public:
  std::string_view name() const override { return "layernorm_backward"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 5, 6);
    const TensorType& x = inputs[1];
    expect(is_floating(x) && x.shape.rank() > 0 && inputs[0] == x, name(), inputs,
           "dy and x of one type");
    expect(inputs[2] == row_type(x) && inputs[3] == row_type(x), name(), inputs,
           "mean and rstd f32 of one element per row");
    const TensorType parameter{x.dtype, Shape{x.shape[-1]}};
    expect(inputs[4] == parameter, name(), inputs, "gamma [C] of x's element type");
    expect(!present(inputs, 5) || inputs[5] == x, name(), inputs, "residual_gradient like x");
    std::vector<TensorType> outputs = {x, {DType::kF32, parameter.shape}};
    if (attributes.integer("bias") != 0) outputs.push_back(outputs[1]);
    return outputs;
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = 14 * static_cast<double>(types.outputs[0].count());
    return cost;
  }
  int in_place(int output) const override { return output == 0 ? 5 : -1; }
  bool can_accumulate(int /*output*/) const override { return true; }
};

}  // namespace

void register_layernorm(Registry& registry) {
  registry.add(std::make_unique<Layernorm>());
  registry.add(std::make_unique<AddLayernorm>());
  registry.add(std::make_unique<LayernormBackward>());
  cpu::add_layernorm_kernels(registry);
}

}  // namespace ingot
