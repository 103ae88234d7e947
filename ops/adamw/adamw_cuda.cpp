// Chooses the CUDA kernel of adamw.
#include "ops/adamw/adamw_kernels.hpp"
#include "ops/cuda_optimizer_op.hpp"

namespace ingot {

void register_adamw_cuda(Registry& registry) {
  registry.add_kernel("adamw", DeviceKind::kCuda, [](const PrepareContext& context) {
    const Attributes& attributes = context.types.attributes;
    const std::int64_t chunk = attributes.integer("chunk");
    cuda::AdamwArguments adamw;
    adamw.beta1 = attributes.real("beta1");
    adamw.beta2 = attributes.real("beta2");
    adamw.epsilon = attributes.real("epsilon");
    return cuda::make_launching_kernel(
        context, [=](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::AdamwArguments own = adamw;
          own.first = arguments.inputs[2].as<float>();
          own.second = arguments.inputs[3].as<float>();
          cuda::launch_adamw(launch, cuda::flat_store(arguments, 2, chunk), own);
        });
  });
}

}  // namespace ingot
