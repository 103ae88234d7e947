// Exponential moving average of the weights, which evaluation may use instead of the weights.
#include "ops/contract.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

namespace cpu {
void add_ema_kernels(Registry& registry);  // ema_cpu.cpp
}

namespace {

/// ema: average f32[P] (mutated), master f32[P], scalars
///   average = ema_decay average + (1 - ema_decay) master; nothing changes in a skipped step.
class Ema final : public Op {
 public:
  std::string_view name() const override { return "ema"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 3, 3);
    expect(inputs[0].dtype == DType::kF32 && inputs[0] == inputs[1], name(), inputs,
           "average and master f32 of one shape");
    expect(inputs[2] == step_scalars_type(), name(), inputs, "the step scalars");
    return {};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.bytes_written = types.inputs[0].bytes();
    cost.other_flops = 3 * static_cast<double>(types.inputs[0].count());
    return cost;
  }
  std::uint32_t mutated_inputs() const override { return 0b001; }
};

}  // namespace

void register_ema(Registry& registry) {
  registry.add(std::make_unique<Ema>());
  cpu::add_ema_kernels(registry);
}

}  // namespace ingot
