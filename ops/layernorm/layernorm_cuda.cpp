// Chooses the CUDA kernels of layernorm, add_layernorm and layernorm_backward.
#include "ops/cuda_op.hpp"
#include "ops/layernorm/layernorm_kernels.hpp"

namespace ingot {

namespace {

using cuda::CudaLaunch;
using cuda::LayernormKernels;

template <typename T>
void forward(const CudaLaunch& launch, const KernelArguments& arguments, bool adds, float epsilon) {
  const std::span<const TensorView> in = arguments.inputs;
  const std::span<const TensorView> out = arguments.outputs;
  const std::size_t gamma = adds ? 2 : 1;
  const std::size_t y = adds ? 1 : 0;
  const Shape& shape = in[0].type.shape;
  cuda::NormForward<T> norm;
  norm.x = in[0].as<T>();
  norm.add = adds ? in[1].as<T>() : nullptr;
  norm.gamma = in[gamma].as<T>();
  norm.beta = cuda::optional<T>(in, gamma + 1);
  norm.sum = adds ? out[0].as<T>() : nullptr;
  norm.y = out[y].as<T>();
  norm.mean = out[y + 1].as<float>();
  norm.rstd = out[y + 2].as<float>();
  norm.rows = shape.leading_count();
  norm.columns = static_cast<int>(shape[-1]);
  norm.epsilon = epsilon;
  LayernormKernels<T>::forward(launch, norm);
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
  const std::span<const TensorView> out = arguments.outputs;
  const Shape& shape = in[1].type.shape;
  cuda::NormBackward<T> norm;
  norm.dy = in[0].as<T>();
  norm.x = in[1].as<T>();
  norm.mean = in[2].as<float>();
  norm.rstd = in[3].as<float>();
  norm.gamma = in[4].as<T>();
  norm.residual = cuda::optional<T>(in, 5);
  norm.dx = out[0].as<T>();
  norm.dgamma = out[1].as<float>();
  norm.dbeta = cuda::optional<float>(out, 2);
  norm.partials = reinterpret_cast<float*>(arguments.workspace.data());
  norm.rows = shape.leading_count();
  norm.columns = static_cast<int>(shape[-1]);
  norm.accumulate = accumulate;
  LayernormKernels<T>::backward(launch, norm);
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const Shape& shape = context.types.inputs[1].shape;
  const std::uint32_t accumulate = context.accumulate;
  const int sums = context.types.outputs.size() > 2 ? 2 : 1;
  return cuda::with_float_type(context.types.inputs[1].dtype, [&](auto element) {
    return cuda::make_launching_kernel(
        context,
        [=](const CudaLaunch& launch, const KernelArguments& arguments) {
          backward<decltype(element)>(launch, arguments, accumulate);
        },
        cuda::norm_partial_bytes(shape.leading_count(), shape[-1], sums));
  });
}

}  // namespace

void register_layernorm_cuda(Registry& registry) {
  registry.add_kernel("layernorm", DeviceKind::kCuda, forward_factory(false));
  registry.add_kernel("add_layernorm", DeviceKind::kCuda, forward_factory(true));
  registry.add_kernel("layernorm_backward", DeviceKind::kCuda, backward_kernel);
}

}  // namespace ingot
