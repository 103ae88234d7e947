// Small ops around the step scalars: adding up the step's loss, on one rank or over ranks in the
// order of samples, and picking the position whose logits generation wants.
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

/// record_loss: sample losses f64 [B], scalars (mutated), table f64 [A] (mutated):
/// table[scalars.micro_batch] = the sum of the losses in sample order; ++scalars.micro_batch.
class RecordLoss final : public Op {
 public:
  std::string_view name() const override { return "record_loss"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    ensure(inputs.size() == 3 && inputs[0].dtype == DType::kF64 &&
               inputs[1] == step_scalars_type() && inputs[2].dtype == DType::kF64,
           "record_loss(losses f64, scalars, table f64)");
    return {};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost;
    cost.other_flops = static_cast<double>(types.inputs[0].count());
    cost.bytes_read = types.inputs[0].bytes() + types.inputs[1].bytes();
    cost.bytes_written = types.inputs[1].bytes() + size_of(DType::kF64);  // of the table, one
    return cost;
  }
  std::uint32_t mutated_inputs() const override { return 0b110; }
};

/// sum_losses: table f64 [R * A], scalars (mutated); attribute integer interleaved, 1 or R.
/// scalars.loss_sum = the sum of the table, one by one: in index order where `interleaved` is 1;
/// where it is R, the table holds A micro-batches of each of R ranks, rank after rank, and is
/// summed over the ranks' first, then over their second ones and so on.
class SumLosses final : public Op {
 public:
  std::string_view name() const override { return "sum_losses"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    const std::int64_t ranks = attributes.integer("interleaved");
    ensure(inputs.size() == 2 && inputs[0].dtype == DType::kF64 &&
               inputs[1] == step_scalars_type() && ranks > 0 && inputs[0].count() % ranks == 0,
           "sum_losses(table f64 of equal parts, scalars)");
    return {};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = static_cast<double>(types.inputs[0].count());
    return cost;
  }
  std::uint32_t mutated_inputs() const override { return 0b10; }
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

void record_loss(cpu::ThreadPool& /*pool*/, const KernelArguments& arguments) {
  const double* losses = arguments.inputs[0].as<double>();
  auto* scalars = static_cast<StepScalars*>(arguments.inputs[1].data);
  ensure(scalars->micro_batch >= 0 && scalars->micro_batch < arguments.inputs[2].count(),
         "a micro-batch of the step");
  double sum = 0;
  for (std::int64_t b = 0; b < arguments.inputs[0].count(); ++b) sum += losses[b];
  arguments.inputs[2].as<double>()[scalars->micro_batch++] = sum;
}

std::unique_ptr<Kernel> sum_losses_kernel(const PrepareContext& context) {
  const std::int64_t ranks = context.types.attributes.integer("interleaved");
  return cpu::make_cpu_kernel([ranks](cpu::ThreadPool& /*pool*/, const KernelArguments& arguments) {
    const double* table = arguments.inputs[0].as<double>();
    const std::int64_t own = arguments.inputs[0].count() / ranks;
    double sum = 0;
    for (std::int64_t a = 0; a < own; ++a) {
      for (std::int64_t rank = 0; rank < ranks; ++rank) sum += table[rank * own + a];
    }
    static_cast<StepScalars*>(arguments.inputs[1].data)->loss_sum = sum;
  });
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
  registry.add(std::make_unique<RecordLoss>());
  registry.add(std::make_unique<SumLosses>());
  registry.add(std::make_unique<SelectPosition>());
  registry.add_kernel("accumulate_loss", DeviceKind::kCpu,
                      [](const PrepareContext&) { return cpu::make_cpu_kernel(accumulate_loss); });
  registry.add_kernel("record_loss", DeviceKind::kCpu,
                      [](const PrepareContext&) { return cpu::make_cpu_kernel(record_loss); });
  registry.add_kernel("sum_losses", DeviceKind::kCpu, sum_losses_kernel);
  registry.add_kernel("select_position", DeviceKind::kCpu,
                      [](const PrepareContext&) { return cpu::make_cpu_kernel(select_position); });
}

}  // namespace ingot
