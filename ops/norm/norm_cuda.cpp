// Chooses the CUDA kernels of square_sums and finish_norm.
#include "ops/contract.hpp"
#include "ops/cuda_op.hpp"
#include "ops/norm/norm_kernels.hpp"

namespace ingot {

void register_norm_cuda(Registry& registry) {
  registry.add_kernel("square_sums", DeviceKind::kCuda, [](const PrepareContext& context) {
    const std::int64_t chunk = context.types.attributes.integer("chunk");
    return cuda::make_launching_kernel(
        context, [chunk](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::launch_square_sums(launch, arguments.inputs[0].as<float>(),
                                   arguments.outputs[0].as<double>(), arguments.outputs[0].count(),
                                   chunk);
        });
  });
  registry.add_kernel("finish_norm", DeviceKind::kCuda, [](const PrepareContext& context) {
    return cuda::make_launching_kernel(
        context, [](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          const auto* order = static_cast<const std::int32_t*>(data_of(arguments.inputs, 2));
          const std::int64_t count =
              order != nullptr ? arguments.inputs[2].count() : arguments.inputs[0].count();
          cuda::launch_finish_norm(launch, arguments.inputs[0].as<double>(), order, count,
                                   static_cast<StepScalars*>(arguments.inputs[1].data));
        });
  });
}

}  // namespace ingot
