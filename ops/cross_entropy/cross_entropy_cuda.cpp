// Chooses the CUDA kernels of the losses.
#include "ops/cross_entropy/cross_entropy_kernels.hpp"
#include "ops/cuda_op.hpp"

namespace ingot {

namespace {

using cuda::CudaLaunch;

std::unique_ptr<Kernel> cross_entropy_kernel(const PrepareContext& context) {
  const Shape& shape = context.types.inputs[0].shape;
  const std::int64_t rows = shape.leading_count();
  const std::int64_t columns = shape[-1];
  return cuda::with_float_type(context.types.inputs[0].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(context, [=](const CudaLaunch& launch,
                                                    const KernelArguments& arguments) {
      cuda::CrossEntropyKernels<T>::run(
          launch, arguments.inputs[0].as<T>(), arguments.inputs[1].as<std::int32_t>(),
          arguments.outputs[0].as<float>(), cuda::optional<T>(arguments.outputs, 1), rows, columns);
    });
  });
}

std::unique_ptr<Kernel> binary_cross_entropy_kernel(const PrepareContext& context) {
  const auto weight = static_cast<float>(context.types.attributes.real("positive_weight"));
  return cuda::with_float_type(context.types.inputs[0].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context, [weight](const CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::BinaryCrossEntropyKernels<T>::run(
              launch, arguments.inputs[0].as<T>(), arguments.inputs[1].as<std::int32_t>(),
              arguments.outputs[0].as<float>(), cuda::optional<T>(arguments.outputs, 1),
              arguments.inputs[1].count(), weight);
        });
  });
}

std::unique_ptr<Kernel> loss_sums_kernel(const PrepareContext& context) {
  const std::int64_t samples = context.types.outputs[0].count();
  const std::int64_t length = samples == 0 ? 0 : context.types.inputs[0].count() / samples;
  return cuda::make_launching_kernel(
      context, [=](const CudaLaunch& launch, const KernelArguments& arguments) {
        cuda::launch_loss_sums(launch, arguments.inputs[0].as<float>(),
                               arguments.outputs[0].as<double>(), samples, length);
      });
}

}  // namespace

void register_cross_entropy_cuda(Registry& registry) {
  registry.add_kernel("cross_entropy", DeviceKind::kCuda, cross_entropy_kernel);
  registry.add_kernel("binary_cross_entropy", DeviceKind::kCuda, binary_cross_entropy_kernel);
  registry.add_kernel("loss_sums", DeviceKind::kCuda, loss_sums_kernel);
}

}  // namespace ingot
