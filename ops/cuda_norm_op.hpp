// Chooses the CUDA kernels of a norm, its form that adds a residual first, and its backward. The
// operands of rmsnorm are those of layernorm without mean, beta and their gradients.
#pragma once

#include <memory>
#include <string>

#include "ops/cuda_norm.hpp"
#include "ops/cuda_op.hpp"

namespace ingot::cuda {

/// Kernels<T>: launch functions for an element type, as LayernormKernels. kMean: whether the norm
/// subtracts the mean, which it then keeps.
template <template <typename> class Kernels, bool kMean>
class NormOp {
 public:
  /// Registers the kernels of `name`, add_`name` and `name`_backward.
  static void add_kernels(Registry& registry, const std::string& name) {
    registry.add_kernel(name, DeviceKind::kCuda, forward_factory(false));
    registry.add_kernel("add_" + name, DeviceKind::kCuda, forward_factory(true));
    registry.add_kernel(name + "_backward", DeviceKind::kCuda, backward_kernel);
  }

 private:
  template <typename T>
  static void forward(const CudaLaunch& launch, const KernelArguments& arguments, bool adds,
                      float epsilon) {
    const std::span<const TensorView> in = arguments.inputs;
    const std::span<const TensorView> out = arguments.outputs;
    const std::size_t gamma = adds ? 2 : 1;
    std::size_t next = adds ? 1 : 0;
    const Shape& shape = in[0].type.shape;
    NormForward<T> norm;
    norm.x = in[0].as<T>();
    norm.add = adds ? in[1].as<T>() : nullptr;
    norm.gamma = in[gamma].as<T>();
    norm.beta = optional<T>(in, gamma + 1);
    norm.sum = adds ? out[0].as<T>() : nullptr;
    norm.y = out[next++].as<T>();
    if constexpr (kMean) norm.mean = out[next++].as<float>();
    norm.rstd = out[next].as<float>();
    norm.rows = shape.leading_count();
    norm.columns = static_cast<int>(shape[-1]);
    norm.epsilon = epsilon;
    Kernels<T>::forward(launch, norm);
  }

  static KernelFactory forward_factory(bool adds) {
    return [adds](const PrepareContext& context) {
      const auto epsilon = static_cast<float>(context.types.attributes.real("epsilon"));
      return with_float_type(context.types.inputs[0].dtype, [&](auto element) {
        return make_launching_kernel(
            context, [=](const CudaLaunch& launch, const KernelArguments& arguments) {
              forward<decltype(element)>(launch, arguments, adds, epsilon);
            });
      });
    };
  }

  template <typename T>
  static void backward(const CudaLaunch& launch, const KernelArguments& arguments,
                       std::uint32_t accumulate) {
    const std::span<const TensorView> in = arguments.inputs;
    const std::span<const TensorView> out = arguments.outputs;
    const Shape& shape = in[1].type.shape;
    std::size_t next = 2;
    NormBackward<T> norm;
    norm.dy = in[0].as<T>();
    norm.x = in[1].as<T>();
    if constexpr (kMean) norm.mean = in[next++].as<float>();
    norm.rstd = in[next++].as<float>();
    norm.gamma = in[next++].as<T>();
    norm.residual = optional<T>(in, next);
    norm.dx = out[0].as<T>();
    norm.dgamma = out[1].as<float>();
    norm.dbeta = optional<float>(out, 2);
    norm.partials = reinterpret_cast<float*>(arguments.workspace.data());
    norm.rows = shape.leading_count();
    norm.columns = static_cast<int>(shape[-1]);
    norm.accumulate = accumulate;
    Kernels<T>::backward(launch, norm);
  }

  static std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
    const Shape& shape = context.types.inputs[1].shape;
    const std::uint32_t accumulate = context.accumulate;
    const int sums = context.types.outputs.size() > 2 ? 2 : 1;
    return with_float_type(context.types.inputs[1].dtype, [&](auto element) {
      return make_launching_kernel(
          context,
          [=](const CudaLaunch& launch, const KernelArguments& arguments) {
            backward<decltype(element)>(launch, arguments, accumulate);
          },
          norm_partial_bytes(shape.leading_count(), shape[-1], sums));
    });
  }
};

}  // namespace ingot::cuda
