// Chooses the CUDA kernel of ema.
#include "ops/cuda_op.hpp"
#include "ops/ema/ema_kernels.hpp"

namespace ingot {

void register_ema_cuda(Registry& registry) {
  registry.add_kernel("ema", DeviceKind::kCuda, [](const PrepareContext& context) {
    return cuda::make_launching_kernel(
        context, [](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::launch_ema(launch, arguments.inputs[0].as<float>(), arguments.inputs[1].as<float>(),
                           static_cast<const StepScalars*>(arguments.inputs[2].data),
                           arguments.inputs[0].count());
        });
  });
}

}  // namespace ingot
