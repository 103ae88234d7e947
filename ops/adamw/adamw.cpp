// AdamW, on a flat store of f32 master weights. A fused pass writes the bf16 weights of the next
// step. Source: Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019; PyTorch's
// form.
#include "ops/optimizer.hpp"

namespace ingot {

namespace cpu {
void add_adamw_kernels(Registry& registry);  // adamw_cpu.cpp
}

namespace {

constexpr std::size_t kMoments = 2;

/// adamw: master f32[P] (mutated), gradient f32[P], m f32[P] (mutated), v f32[P] (mutated),
/// chunk_factors f32[P/chunk, 2], scalars, compute? bf16[P] (mutated); attributes real beta1,
/// beta2, epsilon, integer chunk. With g = gradient * gradient_scale, lr = learning_rate * factor
/// and t = adam_step:
///   master -= lr decay master;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
///   master -= lr / (1 - beta1^t) * m / (sqrt(v / (1 - beta2^t)) + epsilon);  compute = master
class Adamw final : public Op {
 public:
  std::string_view name() const override { return "adamw"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_optimizer_types(name(), inputs, kMoments, attributes);
    for (const char* attribute : {"beta1", "beta2", "epsilon"}) attributes.real(attribute);
    return {};
  }
  Cost cost(const OpTypes& types) const override { return optimizer_cost(types, kMoments, 14); }
  std::uint32_t mutated_inputs() const override { return optimizer_mutated_inputs(kMoments); }
};

}  // namespace

void register_adamw(Registry& registry) {
  registry.add(std::make_unique<Adamw>());
  cpu::add_adamw_kernels(registry);
}

}  // namespace ingot
