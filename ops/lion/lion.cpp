// Lion, which steps by the sign of a momentum, on a flat store of f32 master weights.
// Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023.
#include "ops/optimizer.hpp"

namespace ingot {

namespace cpu {
void add_lion_kernels(Registry& registry);  // lion_cpu.cpp
}

namespace {

constexpr std::size_t kMoments = 1;

/// lion: master f32[P] (mutated), gradient f32[P], m f32[P] (mutated), chunk_factors
/// f32[P/chunk, 2], scalars, compute? bf16[P] (mutated); attributes real beta1, beta2, integer
/// chunk. With g = gradient * gradient_scale and lr = learning_rate * factor:
///   master -= lr decay master;  master -= lr sign(m + (1 - beta1) (g - m))
///   m += (1 - beta2) (g - m);  compute = master
class Lion final : public Op {
 public:
  std::string_view name() const override { return "lion"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_optimizer_types(name(), inputs, kMoments, attributes);
    for (const char* attribute : {"beta1", "beta2"}) attributes.real(attribute);
    return {};
  }
  Cost cost(const OpTypes& types) const override { return optimizer_cost(types, kMoments, 10); }
  std::uint32_t mutated_inputs() const override { return optimizer_mutated_inputs(kMoments); }
};

}  // namespace

void register_lion(Registry& registry) {
  registry.add(std::make_unique<Lion>());
  cpu::add_lion_kernels(registry);
}

}  // namespace ingot
