// Chooses the CUDA kernels of gelu, relu, swiglu and their backward ops.
#include "ops/cuda_activation.hpp"
#include "ops/cuda_op.hpp"

namespace ingot {

namespace {

using cuda::ActivationKernels;
using cuda::CudaLaunch;

/// A factory of kernels that call run(T{}, launch, arguments) for the output's element type T.
template <typename F>
KernelFactory for_element_type(F run) {
  return [run](const PrepareContext& context) {
    return cuda::with_float_type(context.types.outputs[0].dtype, [&](auto element) {
      return cuda::make_launching_kernel(
          context, [run, element](const CudaLaunch& launch, const KernelArguments& arguments) {
            run(element, launch, arguments);
          });
    });
  };
}

template <typename T>
const T* input(const KernelArguments& arguments, std::size_t i) {
  return arguments.inputs[i].as<T>();
}
template <typename T>
T* output(const KernelArguments& arguments) {
  return arguments.outputs[0].as<T>();
}

template <typename T>
void swiglu(T /*element*/, const CudaLaunch& launch, const KernelArguments& arguments) {
  const Shape& shape = arguments.outputs[0].type.shape;
  ActivationKernels<T>::swiglu(launch, input<T>(arguments, 0), output<T>(arguments),
                               shape.leading_count(), shape[-1]);
}

template <typename T>
void swiglu_backward(T /*element*/, const CudaLaunch& launch, const KernelArguments& arguments) {
  const Shape& shape = arguments.inputs[0].type.shape;
  ActivationKernels<T>::swiglu_backward(launch, input<T>(arguments, 0), input<T>(arguments, 1),
                                        output<T>(arguments), shape.leading_count(), shape[-1]);
}

}  // namespace

void register_activation_cuda(Registry& registry) {
  const auto add = [&](const char* op, auto run) {
    registry.add_kernel(op, DeviceKind::kCuda, for_element_type(run));
  };
  add("gelu", []<typename T>(T, const CudaLaunch& launch, const KernelArguments& arguments) {
    ActivationKernels<T>::gelu(launch, input<T>(arguments, 0), output<T>(arguments),
                               arguments.outputs[0].count());
  });
  add("relu", []<typename T>(T, const CudaLaunch& launch, const KernelArguments& arguments) {
    ActivationKernels<T>::relu(launch, input<T>(arguments, 0), output<T>(arguments),
                               arguments.outputs[0].count());
  });
  add("gelu_backward",
      []<typename T>(T, const CudaLaunch& launch, const KernelArguments& arguments) {
        ActivationKernels<T>::gelu_backward(launch, input<T>(arguments, 0), input<T>(arguments, 1),
                                            output<T>(arguments), arguments.outputs[0].count());
      });
  add("relu_backward",
      []<typename T>(T, const CudaLaunch& launch, const KernelArguments& arguments) {
        ActivationKernels<T>::relu_backward(launch, input<T>(arguments, 0), input<T>(arguments, 1),
                                            output<T>(arguments), arguments.outputs[0].count());
      });
  add("swiglu", [](auto element, const CudaLaunch& launch, const KernelArguments& arguments) {
    swiglu(element, launch, arguments);
  });
  add("swiglu_backward",
      [](auto element, const CudaLaunch& launch, const KernelArguments& arguments) {
        swiglu_backward(element, launch, arguments);
      });
}

}  // namespace ingot
