// Chooses the CUDA kernel of rope.
#include <cmath>
#include <numbers>

#include "ops/cuda_op.hpp"
#include "ops/rope/rope_kernels.hpp"

namespace ingot {

namespace {

std::unique_ptr<Kernel> rope_kernel(const PrepareContext& context) {
  const TensorType& x = context.types.inputs[0];
  const Attributes& attributes = context.types.attributes;
  const std::int64_t values = attributes.integer("kv_heads");
  const std::int64_t rotated = attributes.integer("heads") + values;
  const std::int64_t head_size = x.shape[2] / (rotated + values);
  expect(head_size / 2 <= cuda::kRopePairs, "rope", context.types.inputs,
         fmt::format("heads of at most {} elements on a GPU", 2 * cuda::kRopePairs));
  cuda::RopeTurns turns{};
  for (std::int64_t i = 0; i < head_size / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(head_size);
    turns.of_pair[i] = std::pow(attributes.real("base"), exponent) *
                       static_cast<double>(attributes.integer("direction")) /
                       (2 * std::numbers::pi);
  }
  return cuda::with_float_type(x.dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context, [=](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          typename cuda::RopeKernels<T>::Arguments own;
          own.x = arguments.inputs[0].as<T>();
          own.positions = arguments.inputs[1].as<std::int32_t>();
          own.y = arguments.outputs[0].as<T>();
          own.tokens = arguments.inputs[1].count();
          own.rotated = static_cast<int>(rotated);
          own.values = static_cast<int>(values);
          own.head_size = static_cast<int>(head_size);
          cuda::RopeKernels<T>::run(launch, own, turns);
        });
  });
}

}  // namespace

void register_rope_cuda(Registry& registry) {
  registry.add_kernel("rope", DeviceKind::kCuda, rope_kernel);
}

}  // namespace ingot
