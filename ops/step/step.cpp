// Small ops around the step scalars: adding up the step's loss, and picking the position whose
// logits generation wants.
#include <cstring>

#include "ops/cpu_kernel.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

namespace {

/// accumulate_loss: sample losses f64 [B], scalars (mutated): loss_sum += the losses in sample
/// order.
class AccumulateLoss final : public Op {
 public:
  std::string_view name() const override { return "accumulate_loss"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    ensure(inputs.size() == 2 && inputs[0].dtype == DType::kF64 && inputs[1] == step_scalars_type(),
           "accumulate_loss(losses f64, scalars)");
    return {};
  }
  std::uint32_t mutated_inputs() const override { return 2; }
};

/// select_position: x f [B, S, C], scalars -> f [B, C], row scalars.last_position of each sample.
class SelectPosition final : public Op {
 public:
  std::string_view name() const override { return "select_position"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    ensure(inputs.size() == 2 && inputs[0].shape.rank() == 3 && inputs[1] == step_scalars_type(),
           "select_position(x [B, S, C], scalars)");
    return {{inputs[0].dtype, Shape{inputs[0].shape[0], inputs[0].shape[2]}}};
  }
};

void accumulate_loss(cpu::ThreadPool& /*pool*/, const KernelArguments& arguments) {
  const double* losses = arguments.inputs[0].as<double>();
  auto* scalars = static_cast<StepScalars*>(arguments.inputs[1].data);
  for (std::int64_t b = 0; b < arguments.inputs[0].count(); ++b) scalars->loss_sum += losses[b];
}

void select_position(cpu::ThreadPool& /*pool*/, const KernelArguments& arguments) {
  const TensorView& x = arguments.inputs[0];
  const auto* scalars = static_cast<const StepScalars*>(arguments.inputs[1].data);
  const std::int64_t length = x.type.shape[1];
  ensure(scalars->last_position >= 0 && scalars->last_position < length, "a position of the chunk");
  const auto row = static_cast<std::size_t>(x.type.shape[2] * size_of(x.type.dtype));
  const auto* from = static_cast<const std::byte*>(x.data);
  auto* to = static_cast<std::byte*>(arguments.outputs[0].data);
  for (std::int64_t b = 0; b < x.type.shape[0]; ++b) {
    const auto source = static_cast<std::size_t>(b * length + scalars->last_position);
    std::memcpy(to + static_cast<std::size_t>(b) * row, from + source * row, row);
  }
}

}  // namespace

void register_step(Registry& registry) {
  registry.add(std::make_unique<AccumulateLoss>());
  registry.add(std::make_unique<SelectPosition>());
  registry.add_kernel("accumulate_loss", DeviceKind::kCpu,
                      [](const PrepareContext&) { return cpu::make_cpu_kernel(accumulate_loss); });
  registry.add_kernel("select_position", DeviceKind::kCpu,
                      [](const PrepareContext&) { return cpu::make_cpu_kernel(select_position); });
}

}  // namespace ingot
