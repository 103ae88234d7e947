// Root-mean-square normalisation over the last dimension, alone and fused with the residual add
// before it. Source: Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_rmsnorm_kernels(Registry& registry);  // rmsnorm_cpu.cpp
}

namespace {

/// Checks x and the gamma at input `gamma`.
void expect_norm_types(std::string_view op, std::span<const TensorType> inputs, std::size_t gamma) {
  const TensorType& x = inputs[0];
  expect(is_floating(x) && x.shape.rank() > 0 && x.shape[-1] > 0, op, inputs,
         "x f32 or bf16 [..., C] with C > 0");
  expect(inputs[gamma] == TensorType{x.dtype, Shape{x.shape[-1]}}, op, inputs,
         "gamma [C] of x's element type");
}

/// The type of a statistic of each row: f32[...] for x[..., C].
TensorType row_type(const TensorType& x) {
  return {DType::kF32, Shape(x.shape.extents().first(x.shape.extents().size() - 1))};
}

Cost norm_cost(const OpTypes& types, double flops_per_element) {
  Cost cost = streaming_cost(types, 0);
  cost.other_flops = flops_per_element * static_cast<double>(types.outputs[0].count());
  return cost;
}

/// rmsnorm: x f[...,C], gamma f[C]; attribute real epsilon -> y f[...,C], rstd f32[...]
/// y = x rstd gamma, with rstd = 1 / sqrt(mean(x^2) + epsilon).
class Rmsnorm final : public Op {
 public:
  std::string_view name() const override { return "rmsnorm"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    expect_norm_types(name(), inputs, 1);
    attributes.real("epsilon");
    return {inputs[0], row_type(inputs[0])};
  }
  Cost cost(const OpTypes& types) const override { return norm_cost(types, 4); }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b11, 0b10};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    const ValueId dy = builder.output_gradient(0);
    if (dy == kNoValue) return;
    builder.emit("rmsnorm_backward",
                 {dy, builder.input(0), builder.output(1), builder.input(1), kNoValue}, {}, {0, 1});
  }
};

/// add_rmsnorm: a, b f[...,C], gamma f[C]; attribute real epsilon
///   -> sum f[...,C] = a + b, y f[...,C] = rmsnorm(sum), rstd f32[...]
class AddRmsnorm final : public Op {
 public:
  std::string_view name() const override { return "add_rmsnorm"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 3, 3);
    expect_norm_types(name(), inputs, 2);
    expect(inputs[0] == inputs[1], name(), inputs, "a and b of one type");
    attributes.real("epsilon");
    return {inputs[0], inputs[0], row_type(inputs[0])};
  }
  Cost cost(const OpTypes& types) const override { return norm_cost(types, 5); }
  int in_place(int output) const override { return output == 0 ? 0 : -1; }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b100, 0b101};
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
      gradient = builder.emit("rmsnorm_backward",
                              {dy, builder.output(0), builder.output(2), builder.input(2), dsum},
                              {}, {-1, 2})[0];
    }
    for (const int input : {0, 1}) {
      if (builder.wanted(input)) builder.pass_gradient(input, gradient);
    }
  }
};

/// rmsnorm_backward: dy, x f[...,C], rstd f32[...], gamma f[C], residual_gradient? f[...,C]
///   -> dx f[...,C] = norm gradient + residual_gradient, dgamma f32[C]
class RmsnormBackward final : public Op {
 public:
  std::string_view name() const override { return "rmsnorm_backward"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 4, 5);
    const TensorType& x = inputs[1];
    expect(is_floating(x) && x.shape.rank() > 0 && inputs[0] == x, name(), inputs,
           "dy and x of one type");
    expect(inputs[2] == row_type(x), name(), inputs, "rstd f32 of one element per row");
    expect(inputs[3] == TensorType{x.dtype, Shape{x.shape[-1]}}, name(), inputs,
           "gamma [C] of x's element type");
    expect(!present(inputs, 4) || inputs[4] == x, name(), inputs, "residual_gradient like x");
    return {x, {DType::kF32, Shape{x.shape[-1]}}};
  }
  Cost cost(const OpTypes& types) const override { return norm_cost(types, 11); }
  int in_place(int output) const override { return output == 0 ? 4 : -1; }
  bool can_accumulate(int /*output*/) const override { return true; }
};

}  // namespace

void register_rmsnorm(Registry& registry) {
  registry.add(std::make_unique<Rmsnorm>());
  registry.add(std::make_unique<AddRmsnorm>());
  registry.add(std::make_unique<RmsnormBackward>());
  cpu::add_rmsnorm_kernels(registry);
}

}  // namespace ingot
