// Chooses the CUDA kernels of the ops around the step scalars.
#include "ops/cuda_op.hpp"
#include "ops/step/step_kernels.hpp"

namespace ingot {

void register_step_cuda(Registry& registry) {
  registry.add_kernel("accumulate_loss", DeviceKind::kCuda, [](const PrepareContext& context) {
    return cuda::make_launching_kernel(
        context, [](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::launch_accumulate_loss(launch, arguments.inputs[0].as<double>(),
                                       arguments.inputs[0].count(),
                                       static_cast<StepScalars*>(arguments.inputs[1].data));
        });
  });
  registry.add_kernel("record_loss", DeviceKind::kCuda, [](const PrepareContext& context) {
    return cuda::make_launching_kernel(
        context, [](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::launch_record_loss(launch, arguments.inputs[0].as<double>(),
                                   arguments.inputs[0].count(),
                                   static_cast<StepScalars*>(arguments.inputs[1].data),
                                   arguments.inputs[2].as<double>(), arguments.inputs[2].count());
        });
  });
  registry.add_kernel("sum_losses", DeviceKind::kCuda, [](const PrepareContext& context) {
    const std::int64_t ranks = context.types.attributes.integer("interleaved");
    return cuda::make_launching_kernel(
        context, [ranks](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          cuda::launch_sum_losses(launch, arguments.inputs[0].as<double>(), ranks,
                                  arguments.inputs[0].count() / ranks,
                                  static_cast<StepScalars*>(arguments.inputs[1].data));
        });
  });
  registry.add_kernel("select_position", DeviceKind::kCuda, [](const PrepareContext& context) {
    return cuda::make_launching_kernel(
        context, [](const cuda::CudaLaunch& launch, const KernelArguments& arguments) {
          const TensorView& x = arguments.inputs[0];
          cuda::launch_select_position(launch, x.data,
                                       static_cast<const StepScalars*>(arguments.inputs[1].data),
                                       arguments.outputs[0].data, x.type.shape[0], x.type.shape[1],
                                       x.type.shape[2] * size_of(x.type.dtype));
        });
  });
}

}  // namespace ingot
