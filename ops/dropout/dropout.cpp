// Dropout whose mask is a pure function of (seed, sample, layer, element): the backward draws the
// same mask again instead of keeping it, and neither ranks nor micro batches change it.
// Source: Srivastava et al., "Dropout", JMLR 2014 (inverted form: kept elements are scaled up).
#include "ops/contract.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

namespace cpu {
void add_dropout_kernels(Registry& registry);  // dropout_cpu.cpp
}

namespace {

/// dropout: x f[B,...], samples i64[B], scalars; attributes real p, integer layer -> y f[B,...]
/// Element e of sample b (counted inside the sample) is kept, and scaled by 1 / (1 - p), when the
/// uniform_float of word e % 4 of philox(seed, kDropout, samples[b], layer * 2^40 + e / 4) is at
/// least p; otherwise it is 0.
class Dropout final : public Op {
 public:
  std::string_view name() const override { return "dropout"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 3, 3);
    const TensorType& x = inputs[0];
    expect(is_floating(x) && x.shape.rank() > 0, name(), inputs, "x f32 or bf16 [B, ...]");
    expect(inputs[1] == TensorType{DType::kI64, Shape{x.shape[0]}}, name(), inputs,
           "the global sample indices i64 [B]");
    expect(inputs[2] == step_scalars_type(), name(), inputs, "the step scalars");
    const double p = attributes.real("p");
    ensure(p >= 0 && p < 1, "a dropout probability in [0, 1)");
    ensure(attributes.integer("layer") >= 0, "the number of a layer");
    return {x};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 25); }
  int in_place(int output) const override { return output == 0 ? 0 : -1; }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {0b110, 0};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (!builder.wanted(0)) return;
    builder.emit("dropout", {builder.output_gradient(0), builder.input(1), builder.input(2)},
                 builder.attributes(), {0});
  }
};

}  // namespace

void register_dropout(Registry& registry) {
  registry.add(std::make_unique<Dropout>());
  cpu::add_dropout_kernels(registry);
}

}  // namespace ingot
