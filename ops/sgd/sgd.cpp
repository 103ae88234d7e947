// Stochastic gradient descent with momentum, on a flat store of f32 master weights.
// Source: Sutskever, Martens, Dahl, Hinton, ICML 2013; PyTorch's form.
#include "ops/optimizer.hpp"

namespace ingot {

namespace cpu {
void add_sgd_kernels(Registry& registry);  // sgd_cpu.cpp
}

namespace {

constexpr std::size_t kMoments = 1;

/// sgd: master f32[P] (mutated), gradient f32[P], buffer f32[P] (mutated), chunk_factors
/// f32[P/chunk, 2], scalars, compute? bf16[P] (mutated); attributes real momentum, integer chunk.
///   g = gradient * gradient_scale + decay master;  buffer = momentum buffer + g
///   master -= learning_rate factor buffer;  compute = master
/// With a buffer that starts at zero this is PyTorch's SGD without dampening.
class Sgd final : public Op {
 public:
  std::string_view name() const override { return "sgd"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_optimizer_types(name(), inputs, kMoments, attributes);
    attributes.real("momentum");
    return {};
  }
  Cost cost(const OpTypes& types) const override { return optimizer_cost(types, kMoments, 6); }
  std::uint32_t mutated_inputs() const override { return optimizer_mutated_inputs(kMoments); }
};

}  // namespace

void register_sgd(Registry& registry) {
  registry.add(std::make_unique<Sgd>());
  cpu::add_sgd_kernels(registry);
}

}  // namespace ingot
