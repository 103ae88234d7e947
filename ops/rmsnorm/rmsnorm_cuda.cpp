// Chooses the CUDA kernels of rmsnorm, add_rmsnorm and rmsnorm_backward.
#include "ops/cuda_op.hpp"
#include "ops/rmsnorm/rmsnorm_kernels.hpp"

namespace ingot {

namespace {

using cuda::CudaLaunch;
using cuda::RmsnormKernels;

template <typename T>
void forward(const CudaLaunch& launch, const KernelArguments& arguments, bool adds, float epsilon) {
  const std::span<const TensorView> in = arguments.inputs;
  const std::span<const TensorView> out = arguments.outputs;
  const std::size_t y = adds ? 1 : 0;
  const Shape& shape = in[0].type.shape;
  cuda::NormForward<T> norm;
  norm.x = in[0].as<T>();
  norm.add = adds ? in[1].as<T>() : nullptr;
  norm.gamma = in[adds ? 2 : 1].as<T>();
  norm.sum = adds ? out[0].as<T>() : nullptr;
  norm.y = out[y].as<T>();
  norm.rstd = out[y + 1].as<float>();
  norm.rows = shape.leading_count();
  norm.columns = static_cast<int>(shape[-1]);
  norm.epsilon = epsilon;
  RmsnormKernels<T>::forward(launch, norm);
}

KernelFactory forward_factory(bool adds) {
  return [adds](const PrepareContext& context) {
    const auto epsilon = static_cast<float>(context.types.attributes.real("epsilon"));
    return cuda::with_float_type(context.types.inputs[0].dtype, [&](auto element) {
      return cuda::make_launching_kernel(
          context, [=](const CudaLaunch& launch, const KernelArguments& arguments) {
            forward<decltype(element)>(launch, arguments, adds, epsilon);
          });
    });
  };
}

template <typename T>
void backward(const CudaLaunch& launch, const KernelArguments& arguments,
              std::uint32_t accumulate) {
  const std::span<const TensorView> in = arguments.inputs;
  const Shape& shape = in[1].type.shape;
  cuda::NormBackward<T> norm;
  norm.dy = in[0].as<T>();
  norm.x = in[1].as<T>();
  norm.rstd = in[2].as<float>();
  norm.gamma = in[3].as<T>();
  norm.residual = cuda::optional<T>(in, 4);
  norm.dx = arguments.outputs[0].as<T>();
  norm.dgamma = arguments.outputs[1].as<float>();
  norm.partials = reinterpret_cast<float*>(arguments.workspace.data());
  norm.rows = shape.leading_count();
  norm.columns = static_cast<int>(shape[-1]);
  norm.accumulate = accumulate;
  RmsnormKernels<T>::backward(launch, norm);
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const Shape& shape = context.types.inputs[1].shape;
  const std::uint32_t accumulate = context.accumulate;
  return cuda::with_float_type(context.types.inputs[1].dtype, [&](auto element) {
    return cuda::make_launching_kernel(
        context,
        [=](const CudaLaunch& launch, const KernelArguments& arguments) {
          backward<decltype(element)>(launch, arguments, accumulate);
        },
        cuda::norm_partial_bytes(shape.leading_count(), shape[-1], 1));
  });
}

}  // namespace

void register_rmsnorm_cuda(Registry& registry) {
  registry.add_kernel("rmsnorm", DeviceKind::kCuda, forward_factory(false));
  registry.add_kernel("add_rmsnorm", DeviceKind::kCuda, forward_factory(true));
  registry.add_kernel("rmsnorm_backward", DeviceKind::kCuda, backward_kernel);
}

}  // namespace ingot
