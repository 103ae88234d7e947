// An op from outside: squared relu, y = max(x, 0)^2 (So et al., "Primer", 2021), with its gradient,
// as a shared library that ingot opens. An op is a contract (shapes, cost, backward as other ops)
// and one kernel per device; this file has both for the CPU, for the forward op and for its
// gradient.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "ops/cpu_kernel.hpp"
#include "ops/op.hpp"
#include "ops/plugin.hpp"

namespace {

using namespace ingot;

// Elements per piece of work. Pieces follow from the shape, never from the number of threads, so
// that results do not depend on it.
constexpr std::int64_t kGrain = 1 << 14;

bool is_floating(const TensorType& type) {
  return type.dtype == DType::kF32 || type.dtype == DType::kBf16;
}

/// x f32|bf16 [...] -> y, the same type.
class SquaredRelu final : public Op {
 public:
  std::string_view name() const override { return "squared_relu"; }

  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    if (inputs.size() != 1 || !is_floating(inputs[0])) {
      fail(ExitCode::kInternal, "squared_relu expects one f32 or bf16 tensor, found {} inputs{}",
           inputs.size(), inputs.empty() ? "" : ", the first " + inputs[0].text());
    }
    return {inputs[0]};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 2); }

  // The planner keeps x alive until the backward op has read it, because of this.
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {.inputs = 1, .outputs = 0};
  }
  bool differentiable() const override { return true; }
  void backward(BackwardBuilder& builder) const override {
    if (!builder.wanted(0) || builder.output_gradient(0) == kNoValue) return;
    builder.emit("squared_relu_backward", {builder.output_gradient(0), builder.input(0)}, {}, {0});
  }
};

/// dy, x f32|bf16 [...] -> dx = 2 max(x, 0) dy.
class SquaredReluBackward final : public Op {
 public:
  std::string_view name() const override { return "squared_relu_backward"; }

  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    if (inputs.size() != 2 || !is_floating(inputs[0]) || inputs[0] != inputs[1]) {
      fail(ExitCode::kInternal, "squared_relu_backward expects two tensors of one floating type");
    }
    return {inputs[0]};
  }
  Cost cost(const OpTypes& types) const override { return streaming_cost(types, 3); }
  // dx may take over the memory of dy: each element is read before it is written.
  int in_place(int /*output*/) const override { return 0; }
};

template <typename T>
void forward(cpu::ThreadPool& pool, const KernelArguments& arguments) {
  const T* x = arguments.inputs[0].as<T>();
  T* y = arguments.outputs[0].as<T>();
  pool.parallel_for(arguments.inputs[0].count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float positive = std::max(static_cast<float>(x[i]), 0.0F);
      y[i] = static_cast<T>(positive * positive);
    }
  });
}

template <typename T>
void backward(cpu::ThreadPool& pool, const KernelArguments& arguments) {
  const T* dy = arguments.inputs[0].as<T>();
  const T* x = arguments.inputs[1].as<T>();
  T* dx = arguments.outputs[0].as<T>();
  pool.parallel_for(arguments.inputs[0].count(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float positive = std::max(static_cast<float>(x[i]), 0.0F);
      dx[i] = static_cast<T>(2.0F * positive * static_cast<float>(dy[i]));
    }
  });
}

}  // namespace

/// The version of the contract that this library was built for; ingot refuses any but its own.
extern "C" int ingot_plugin_version() {
  return ingot::kPluginVersion;
}

/// Called once, before any graph is built.
extern "C" void ingot_register_ops(ingot::Registry& registry) {
  registry.add(std::make_unique<SquaredRelu>());
  registry.add(std::make_unique<SquaredReluBackward>());
  registry.add_kernel("squared_relu", DeviceKind::kCpu, [](const PrepareContext& context) {
    const bool f32 = context.types.inputs[0].dtype == DType::kF32;
    return cpu::make_cpu_kernel(f32 ? forward<float> : forward<Bf16>);
  });
  registry.add_kernel("squared_relu_backward", DeviceKind::kCpu, [](const PrepareContext& context) {
    const bool f32 = context.types.inputs[0].dtype == DType::kF32;
    return cpu::make_cpu_kernel(f32 ? backward<float> : backward<Bf16>);
  });
}
