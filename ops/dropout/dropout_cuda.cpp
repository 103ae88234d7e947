// Chooses the CUDA kernel of dropout.
#include <cmath>

#include "ops/cuda_op.hpp"
#include "ops/dropout/dropout_kernels.hpp"

namespace ingot {

void register_dropout_cuda(Registry& registry) {
  registry.add_kernel("dropout", DeviceKind::kCuda, [](const PrepareContext& context) {
    const double p = context.types.attributes.real("p");
    const std::int64_t layer = context.types.attributes.integer("layer");
    return cuda::with_float_type(context.types.inputs[0].dtype, [&](auto element) {
      using T = decltype(element);
      return cuda::make_launching_kernel(
          context, [=](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
            typename cuda::DropoutKernels<T>::Arguments own;
            own.x = arguments.inputs[0].as<T>();
            own.y = arguments.outputs[0].as<T>();
            own.samples = arguments.inputs[1].as<std::int64_t>();
            own.step = static_cast<const StepScalars*>(arguments.inputs[2].data);
            own.count = arguments.inputs[1].count();
            own.per_sample = own.count == 0 ? 0 : arguments.inputs[0].count() / own.count;
            own.layer = layer;
            own.threshold = static_cast<std::int32_t>(std::ceil(p * 0x1p24));
            own.scale = static_cast<float>(1 / (1 - p));
            cuda::DropoutKernels<T>::run(launch, own);
          });
    });
  });
}

}  // namespace ingot
