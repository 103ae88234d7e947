// Losses. Each computes the gradient of its own sum together with the losses while a row is in
// cache, so that backward has nothing left to do; loss_sums adds losses up by sample in f64.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_cross_entropy_kernels(Registry& registry);  // cross_entropy_cpu.cpp
}

namespace {

bool wants_gradient(const Attributes& attributes) {
  return attributes.integer("gradient") != 0;
}

/// The backward of a loss whose output 1 is the gradient of the summed losses already.
void pass_prepared_gradient(const Op& op, BackwardBuilder& builder) {
  if (!builder.wanted(0)) return;
  if (!wants_gradient(builder.attributes())) {
    fail(ExitCode::kInternal, "op '{}' is differentiated but was built with gradient 0", op.name());
  }
  builder.pass_gradient(0, builder.output(1));
}

/// cross_entropy: logits f[...,V], targets i32[...]; attribute integer gradient 0|1
///   -> losses f32[...] = log(sum(exp(logits))) - logits[target]
///   and, with gradient, dlogits f[...,V] = d(sum of losses)/dlogits = softmax - one hot
/// A negative target is not counted: loss 0, gradient 0. A target of V or more ends the step with
/// Error(kBadData).
class CrossEntropy final : public Op {
 public:
  std::string_view name() const override { return "cross_entropy"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& logits = inputs[0];
    const TensorType& targets = inputs[1];
    expect(is_floating(logits) && logits.shape.rank() > 0 && logits.shape[-1] > 0, name(), inputs,
           "logits f32 or bf16 [..., V] with V > 0");
    expect(targets.dtype == DType::kI32 && targets.shape == Shape(logits.shape.extents().first(
                                                                logits.shape.extents().size() - 1)),
           name(), inputs, "one i32 target per row of logits");
    std::vector<TensorType> outputs = {{DType::kF32, targets.shape}};
    if (wants_gradient(attributes)) outputs.push_back(logits);
    return outputs;
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    // An exponential for the sum and one for the gradient.
    cost.other_flops =
        static_cast<double>(types.inputs[0].count()) * (types.outputs.size() > 1 ? 40.0 : 20.0);
    return cost;
  }
  int in_place(int output) const override { return output == 1 ? 0 : -1; }
  BackwardReads backward_reads(const Attributes& attributes) const override {
    return {0, wants_gradient(attributes) ? 0b10U : 0U};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override { pass_prepared_gradient(*this, builder); }
};

/// binary_cross_entropy: logits f[N,1], labels i32[N] (0 | 1, negative: not counted); attributes
/// real positive_weight, integer gradient 0|1
///   -> losses f32[N] = -(w label log p + (1 - label) log(1 - p)), p = sigmoid(logit),
///   and, with gradient, dlogits f[N,1]
/// A label above 1 ends the step with Error(kBadData).
class BinaryCrossEntropy final : public Op {
 public:
  std::string_view name() const override { return "binary_cross_entropy"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& logits = inputs[0];
    const TensorType& labels = inputs[1];
    expect(is_floating(logits) && logits.shape.rank() == 2 && logits.shape[1] == 1, name(), inputs,
           "logits f32 or bf16 [N, 1]");
    expect(labels == TensorType{DType::kI32, Shape{logits.shape[0]}}, name(), inputs,
           "labels i32 [N]");
    attributes.real("positive_weight");
    std::vector<TensorType> outputs = {{DType::kF32, labels.shape}};
    if (wants_gradient(attributes)) outputs.push_back(logits);
    return outputs;
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 40); }
  int in_place(int output) const override { return output == 1 ? 0 : -1; }
  BackwardReads backward_reads(const Attributes& attributes) const override {
    return {0, wants_gradient(attributes) ? 0b10U : 0U};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override { pass_prepared_gradient(*this, builder); }
};

/// loss_sums: losses f32[B, ...] -> f64[B], each sample's sum in index order. Its gradient is that
/// of the summed losses, which the losses carry already, so it is not differentiated.
class LossSums final : public Op {
 public:
  std::string_view name() const override { return "loss_sums"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 1, 1);
    expect(inputs[0].dtype == DType::kF32 && inputs[0].shape.rank() > 0, name(), inputs,
           "losses f32 [B, ...]");
    return {{DType::kF64, Shape{inputs[0].shape[0]}}};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = static_cast<double>(types.inputs[0].count());
    return cost;
  }
};

}  // namespace

void register_cross_entropy(Registry& registry) {
  registry.add(std::make_unique<CrossEntropy>());
  registry.add(std::make_unique<BinaryCrossEntropy>());
  registry.add(std::make_unique<LossSums>());
  cpu::add_cross_entropy_kernels(registry);
}

}  // namespace ingot
