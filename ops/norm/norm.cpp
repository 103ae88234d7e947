// The global gradient norm in two halves: sums of squares by chunk, which the owners of the chunks
// compute in f64 and ranks may exchange, and their sum in chunk order, from which clipping and the
// decision to skip the step follow.
#include "ops/contract.hpp"
#include "ops/step_scalars.hpp"

namespace ingot {

namespace cpu {
void add_norm_kernels(Registry& registry);  // norm_cpu.cpp
}

namespace {

/// square_sums: gradient f32[P]; attribute integer chunk -> f64[P / chunk]
class SquareSums final : public Op {
 public:
  std::string_view name() const override { return "square_sums"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& attributes) const override {
    expect_inputs(name(), inputs, 1, 1);
    const std::int64_t chunk = attributes.integer("chunk");
    expect(inputs[0].dtype == DType::kF32 && inputs[0].shape.rank() == 1 && chunk > 0 &&
               inputs[0].count() % chunk == 0,
           name(), inputs, fmt::format("f32 [P] of whole chunks of {} elements", chunk));
    return {{DType::kF64, Shape{inputs[0].count() / chunk}}};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.other_flops = 2 * static_cast<double>(types.inputs[0].count());
    return cost;
  }
};

/// finish_norm: partials f64[n], scalars (mutated), order i32[m] or absent. Sets
///   gradient_norm = sqrt(sum of partials[order[0]], partials[order[1]], ..., one by one) /
///   counted,
///     in index order where there is no `order`; ranks that gather the partials of their shards
///     give that of the chunks in the store,
///   skip = 1 and gradient_scale = 0 where that is not finite, else skip = 0 and
///   gradient_scale = min(1, clip_norm / (gradient_norm + 1e-6)) / counted, without the minimum
///   where clip_norm is 0. The 1e-6 is that of torch.nn.utils.clip_grad_norm_.
class FinishNorm final : public Op {
 public:
  std::string_view name() const override { return "finish_norm"; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    expect_inputs(name(), inputs, 2, 3);
    expect(inputs[0].dtype == DType::kF64 && inputs[0].shape.rank() == 1, name(), inputs,
           "partial sums f64 [n]");
    expect(inputs[1] == step_scalars_type(), name(), inputs, "the step scalars");
    if (present(inputs, 2)) {
      expect(inputs[2].dtype == DType::kI32 && inputs[2].shape.rank() == 1, name(), inputs,
             "an order i32 [m]");
    }
    return {};
  }
  Cost cost(const OpTypes& types) const override {
    Cost cost = streaming_cost(types, 0);
    cost.bytes_written = types.inputs[1].bytes();
    cost.other_flops = static_cast<double>(types.inputs[0].count());
    return cost;
  }
  std::uint32_t mutated_inputs() const override { return 0b10; }
};

}  // namespace

void register_norm(Registry& registry) {
  registry.add(std::make_unique<SquareSums>());
  registry.add(std::make_unique<FinishNorm>());
  cpu::add_norm_kernels(registry);
}

}  // namespace ingot
