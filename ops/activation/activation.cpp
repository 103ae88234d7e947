// The nonlinearities between linear layers: gelu (tanh form, as GPT-2), relu, and swiglu (as
// Llama). gelu_backward stands alone because linear, which can apply gelu itself, emits it too.
#include "ops/contract.hpp"

namespace ingot {

namespace cpu {
void add_activation_kernels(Registry& registry);  // activation_cpu.cpp
}

namespace {

// Roughly what exp and the polynomial around it take.
constexpr double kGeluFlops = 30;

/// One op of a function of each element, y = f(x). Its backward is `<name>_backward`, which reads
/// the gradient and x, or y where kReadsOutput.
class Elementwise final : public Op {
 public:
  Elementwise(std::string name, double flops, bool reads_output)
      : name_(std::move(name)), flops_(flops), reads_output_(reads_output) {}

  std::string_view name() const override { return name_; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name_, inputs, 1, 1);
    expect(is_floating(inputs[0]), name_, inputs, "an f32 or bf16 tensor");
    return {inputs[0]};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, flops_); }
  // Where backward reads x, the planner sees that x is read later and keeps it.
  int in_place(int /*output*/) const override { return 0; }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return reads_output_ ? BackwardReads{0, 1} : BackwardReads{1, 0};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (!builder.wanted(0)) return;
    const ValueId value = reads_output_ ? builder.output(0) : builder.input(0);
    builder.emit(name_ + "_backward", {builder.output_gradient(0), value}, {}, {0});
  }

 private:
  std::string name_;
  double flops_;
  bool reads_output_;
};

/// Gradient of such a function: dy f[...] and x or y f[...] -> dx f[...].
class ElementwiseBackward final : public Op {
 public:
  ElementwiseBackward(std::string name, double flops) : name_(std::move(name)), flops_(flops) {}

  std::string_view name() const override { return name_; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name_, inputs, 2, 2);
    expect(is_floating(inputs[0]) && inputs[0] == inputs[1], name_, inputs,
           "two f32 or two bf16 tensors of one shape");
    return {inputs[0]};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, flops_); }
  int in_place(int /*output*/) const override { return 0; }

 private:
  std::string name_;
  double flops_;
};

/// swiglu: x f[..., 2F] = (gate, up) -> y f[..., F] = silu(gate) * up.
/// Source: Shazeer, "GLU Variants Improve Transformer", 2020.
class Swiglu final : public Op {
 public:
  std::string_view name() const override { return "swiglu"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 1, 1);
    const TensorType& x = inputs[0];
    expect(is_floating(x) && x.shape.rank() > 0 && x.shape[-1] % 2 == 0, name(), inputs,
           "an f32 or bf16 tensor with an even last extent");
    return {{x.dtype, x.shape.with_last(x.shape[-1] / 2)}};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 25); }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override { return {1, 0}; }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (!builder.wanted(0)) return;
    builder.emit("swiglu_backward", {builder.output_gradient(0), builder.input(0)}, {}, {0});
  }
};

/// swiglu_backward: dy f[..., F], x f[..., 2F] -> dx f[..., 2F].
class SwigluBackward final : public Op {
 public:
  std::string_view name() const override { return "swiglu_backward"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 2, 2);
    const TensorType& dy = inputs[0];
    expect(is_floating(dy) && dy.shape.rank() > 0 && dy.dtype == inputs[1].dtype &&
               inputs[1].shape == dy.shape.with_last(2 * dy.shape[-1]),
           name(), inputs, "dy f[..., F] and x f[..., 2F]");
    return {inputs[1]};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 15); }
  int in_place(int /*output*/) const override { return 1; }
};

}  // namespace

void register_activation(Registry& registry) {
  registry.add(std::make_unique<Elementwise>("gelu", kGeluFlops, false));
  registry.add(std::make_unique<ElementwiseBackward>("gelu_backward", kGeluFlops + 8));
  registry.add(std::make_unique<Elementwise>("relu", 1, true));
  registry.add(std::make_unique<ElementwiseBackward>("relu_backward", 1));
  registry.add(std::make_unique<Swiglu>());
  registry.add(std::make_unique<SwigluBackward>());
  cpu::add_activation_kernels(registry);
}

}  // namespace ingot
