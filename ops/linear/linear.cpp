// The dense layer y = x W^T + b, optionally with GELU on top, and its backward products.
// Weights are [M, K] as PyTorch and Hugging Face store them: one row per output feature.
#include <memory>

#include "ops/contract.hpp"
#include "ops/linear/linear_cpu.hpp"
#include "ops/op.hpp"

namespace ingot {

namespace {

bool has_gelu(const Attributes& attributes) {
  if (!attributes.has("activation")) return false;
  const std::string& activation = attributes.text("activation");
  if (activation != "gelu" && activation != "none") {
    fail(ExitCode::kInternal, "op 'linear' has activation '{}'; it knows none and gelu",
         activation);
  }
  return activation == "gelu";
}

/// Cost of one product of [rows, depth] by [depth, columns] in which every tensor is touched once.
Cost product_cost(const OpTypes& types, std::int64_t rows, std::int64_t columns, std::int64_t depth,
                  double other_flops_per_output_element) {
  Cost cost = streaming_cost(types, 0);
  cost.other_flops =
      other_flops_per_output_element * static_cast<double>(rows) * static_cast<double>(columns);
  cost.matrix_flops =
      2.0 * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(depth);
  return cost;
}

/// linear: x f[..., K], weight f[M, K], bias? f[M] -> y f[..., M], and with attribute
/// activation = "gelu" also pre f[..., M], where pre = x W^T + b and y = gelu(pre) (tanh form).
class Linear final : public Op {
 public:
  std::string_view name() const override { return "linear"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 3);
    const TensorType& x = inputs[0];
    const TensorType& weight = inputs[1];
    expect(is_floating(x) && x.shape.rank() >= 1 && weight.shape.rank() == 2 &&
               weight.dtype == x.dtype && weight.shape[1] == x.shape[-1],
           name(), inputs, "x f[..., K], weight f[M, K], bias? f[M] of one element type");
    expect(!present(inputs, 2) || (inputs[2].dtype == x.dtype && inputs[2].shape.rank() == 1 &&
                                   inputs[2].shape[0] == weight.shape[0]),
           name(), inputs, "a bias f[M] for a weight f[M, K]");
    const TensorType y{x.dtype, x.shape.with_last(weight.shape[0])};
    if (has_gelu(attributes)) return {y, y};
    return {y};
  }
  Cost cost(const OpTypes& types) const override {
    const Shape& weight = types.inputs[1].shape;
    const double bias = types.has_input(2) ? 1 : 0;
    const double gelu = has_gelu(types.attributes) ? 12 : 0;
    return product_cost(types, types.inputs[0].shape.leading_count(), weight[0], weight[1],
                        bias + gelu);
  }
  BackwardReads backward_reads(const Attributes& attributes) const override {
    return {.inputs = 0b11, .outputs = has_gelu(attributes) ? 0b10U : 0U};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    ValueId dy = builder.output_gradient(0);
    if (dy == kNoValue) return;
    if (has_gelu(builder.attributes())) {
      dy = builder.emit("gelu_backward", {dy, builder.output(1)}, {}, {-1})[0];
    }
    // The weight's gradient first: its bucket can then be reduced while dx is computed.
    const bool bias = has_input(builder, 2) && builder.wanted(2);
    if (builder.wanted(1) || bias) {
      builder.emit("linear_backward_weight", {dy, builder.input(0)}, {{"bias", std::int64_t{bias}}},
                   bias ? std::vector<int>{1, 2} : std::vector<int>{1});
    }
    if (builder.wanted(0)) {
      builder.emit("linear_backward_input", {dy, builder.input(1)}, {}, {0});
    }
  }
};

/// linear_backward_input: dy f[..., M], weight f[M, K] -> dx f[..., K] = dy W.
class LinearBackwardInput final : public Op {
 public:
  std::string_view name() const override { return "linear_backward_input"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& dy = inputs[0];
    const TensorType& weight = inputs[1];
    expect(is_floating(dy) && dy.shape.rank() >= 1 && weight.shape.rank() == 2 &&
               weight.dtype == dy.dtype && weight.shape[0] == dy.shape[-1],
           name(), inputs, "dy f[..., M], weight f[M, K] of one element type");
    return {{dy.dtype, dy.shape.with_last(weight.shape[1])}};
  }
  Cost cost(const OpTypes& types) const override {
    const Shape& weight = types.inputs[1].shape;
    return product_cost(types, types.inputs[0].shape.leading_count(), weight[1], weight[0], 0);
  }
  bool can_accumulate(int /*output*/) const override { return true; }
};

/// linear_backward_gelu: dy f[..., M], weight f[M, K], pre f[..., K] -> dx f[..., K] = (dy W)
/// gelu'(pre), for a layer whose input is gelu(pre). Made by fusion of linear_backward_input and
/// gelu_backward.
class LinearBackwardGelu final : public Op {
 public:
  std::string_view name() const override { return "linear_backward_gelu"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 3, 3);
    const TensorType& dy = inputs[0];
    const TensorType& weight = inputs[1];
    expect(is_floating(dy) && dy.shape.rank() >= 1 && weight.shape.rank() == 2 &&
               weight.dtype == dy.dtype && weight.shape[0] == dy.shape[-1] &&
               inputs[2] == TensorType{dy.dtype, dy.shape.with_last(weight.shape[1])},
           name(), inputs, "dy f[..., M], weight f[M, K], pre f[..., K] of one element type");
    return {inputs[2]};
  }
  Cost cost(const OpTypes& types) const override {
    const Shape& weight = types.inputs[1].shape;
    return product_cost(types, types.inputs[0].shape.leading_count(), weight[1], weight[0], 20);
  }
};

/// linear_backward_weight: dy f[..., M], x f[..., K] -> dweight f32[M, K] = dy^T x, and with
/// attribute bias = 1 also dbias f32[M], the sum of dy over its rows.
class LinearBackwardWeight final : public Op {
 public:
  std::string_view name() const override { return "linear_backward_weight"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& dy = inputs[0];
    const TensorType& x = inputs[1];
    expect(is_floating(dy) && dy.shape.rank() >= 1 && x.dtype == dy.dtype && x.shape.rank() >= 1 &&
               x.shape.leading_count() == dy.shape.leading_count(),
           name(), inputs, "dy f[..., M], x f[..., K] of one element type");
    const TensorType dweight{DType::kF32, Shape{dy.shape[-1], x.shape[-1]}};
    if (attributes.integer("bias", 0) == 0) return {dweight};
    return {dweight, {DType::kF32, Shape{dy.shape[-1]}}};
  }
  Cost cost(const OpTypes& types) const override {
    const TensorType& dy = types.inputs[0];
    Cost cost =
        product_cost(types, dy.shape[-1], types.inputs[1].shape[-1], dy.shape.leading_count(), 0);
    if (types.outputs.size() > 1) cost.other_flops += static_cast<double>(dy.count());
    return cost;
  }
  bool can_accumulate(int /*output*/) const override { return true; }
};

}  // namespace

void register_linear(Registry& registry) {
  registry.add(std::make_unique<Linear>());
  registry.add(std::make_unique<LinearBackwardInput>());
  registry.add(std::make_unique<LinearBackwardGelu>());
  registry.add(std::make_unique<LinearBackwardWeight>());
  registry.add_kernel("linear", DeviceKind::kCpu, cpu::prepare_linear);
  registry.add_kernel("linear_backward_input", DeviceKind::kCpu,
                      cpu::prepare_linear_backward_input);
  registry.add_kernel("linear_backward_gelu", DeviceKind::kCpu, cpu::prepare_linear_backward_gelu);
  registry.add_kernel("linear_backward_weight", DeviceKind::kCpu,
                      cpu::prepare_linear_backward_weight);
}

}  // namespace ingot
