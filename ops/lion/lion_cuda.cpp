// Chooses the CUDA kernel of lion.
#include "ops/cuda_optimizer_op.hpp"
#include "ops/lion/lion_kernels.hpp"

namespace ingot {

void register_lion_cuda(Registry& registry) {
  registry.add_kernel("lion", DeviceKind::kCuda, [](const PrepareContext& context) {
    const Attributes& attributes = context.types.attributes;
    const std::int64_t chunk = attributes.integer("chunk");
    cuda::LionArguments lion;
    lion.beta1 = attributes.real("beta1");
    lion.beta2 = attributes.real("beta2");
    return cuda::make_launching_kernel(
        context, [=](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::LionArguments own = lion;
          own.momentum = arguments.inputs[2].as<float>();
          cuda::launch_lion(launch, cuda::flat_store(arguments, 1, chunk), own);
        });
  });
}

}  // namespace ingot
