// Chooses the CUDA kernel of sgd.
#include "ops/cuda_optimizer_op.hpp"
#include "ops/sgd/sgd_kernels.hpp"

namespace ingot {

void register_sgd_cuda(Registry& registry) {
  registry.add_kernel("sgd", DeviceKind::kCuda, [](const PrepareContext& context) {
    const Attributes& attributes = context.types.attributes;
    const std::int64_t chunk = attributes.integer("chunk");
    const double momentum = attributes.real("momentum");
    return cuda::make_launching_kernel(
        context, [=](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          const cuda::SgdArguments sgd{arguments.inputs[2].as<float>(), momentum};
          cuda::launch_sgd(launch, cuda::flat_store(arguments, 1, chunk), sgd);
        });
  });
}

}  // namespace ingot
