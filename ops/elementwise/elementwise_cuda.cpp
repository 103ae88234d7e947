// Chooses the CUDA kernels of add, cast and copy.
#include "ops/cuda_elementwise.hpp"
#include "ops/cuda_op.hpp"

namespace ingot {

namespace {

using cuda::CudaLaunch;

std::unique_ptr<Kernel> add_kernel(const PrepareContext& context) {
  return cuda::with_float_type(context.types.outputs[0].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context, [](const CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::launch_add<T>(launch, arguments.inputs[0].as<T>(), arguments.inputs[1].as<T>(),
                              arguments.outputs[0].as<T>(), arguments.outputs[0].count());
        });
  });
}

/// The copy engine of the GPU does it.
std::unique_ptr<Kernel> copy_kernel(const PrepareContext& /*context*/) {
  return cuda::make_cuda_kernel([](cudaStream_t stream, const KernelArguments& arguments) {
    const std::int64_t bytes = arguments.outputs[0].type.bytes();
    if (bytes == 0) return;
    cuda::check(cudaMemcpyAsync(arguments.outputs[0].data, arguments.inputs[0].data,
                                static_cast<std::size_t>(bytes), cudaMemcpyDeviceToDevice, stream),
                "cudaMemcpyAsync");
  });
}

std::unique_ptr<Kernel> cast_kernel(const PrepareContext& context) {
  if (context.types.inputs[0].dtype == context.types.outputs[0].dtype) return copy_kernel(context);
  const bool narrows = context.types.outputs[0].dtype == DType::kBf16;
  return cuda::make_launching_kernel(
      context, [narrows](const CudaLaunch& launch, const KernelArguments& arguments) {
        const TensorView& x = arguments.inputs[0];
        const TensorView& y = arguments.outputs[0];
        if (narrows) {
          cuda::launch_cast(launch, x.as<float>(), y.as<Bf16>(), y.count());
        } else {
          cuda::launch_cast(launch, x.as<Bf16>(), y.as<float>(), y.count());
        }
      });
}

}  // namespace

void register_elementwise_cuda(Registry& registry) {
  registry.add_kernel("add", DeviceKind::kCuda, add_kernel);
  registry.add_kernel("cast", DeviceKind::kCuda, cast_kernel);
  registry.add_kernel("copy", DeviceKind::kCuda, copy_kernel);
}

}  // namespace ingot
