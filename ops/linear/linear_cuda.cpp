// linear on the GPU: products through cuBLASLt, with bias, GELU, its gradient and the gradient of
// the bias fused where the library has them.
//
// GELU and its gradient are fused for bf16 only: the library's epilogue takes a tanh that is good
// to about ten bits, which f32 would notice. It also needs rows of a multiple of 8 elements.
#include <algorithm>
#include <memory>
#include <utility>

#include "ops/cuda_activation.hpp"
#include "ops/cuda_elementwise.hpp"
#include "ops/cuda_op.hpp"
#include "ops/linear/cublaslt_product.hpp"
#include "ops/linear/linear_kernels.hpp"

namespace ingot {

namespace {

using cuda::CublasLtProduct;
using cuda::CudaLaunch;
using cuda::kProductWorkspace;
using cuda::LinearKernels;
using cuda::ProductPointers;
using cuda::ProductShape;

using Product = std::shared_ptr<CublasLtProduct>;

Product make_product(const PrepareContext& context, const ProductShape& shape, int output = 0) {
  const bool accumulate = ((context.accumulate >> output) & 1U) != 0;
  return std::make_shared<CublasLtProduct>(context.device, shape, accumulate);
}

/// For a product that the op cannot do without.
Product require(Product product, const ProductShape& shape) {
  if (!product->exists()) {
    fail(ExitCode::kGpu, "cuBLASLt cannot multiply {} matrices of {} x {} x {}",
         name_of(shape.operands), shape.m, shape.n, shape.k);
  }
  return product;
}

/// The product with the first of the epilogues that the library has; the plain one must exist.
std::pair<Product, cublasLtEpilogue_t> first_of(const PrepareContext& context, ProductShape shape,
                                                std::initializer_list<cublasLtEpilogue_t> list) {
  for (const cublasLtEpilogue_t epilogue : list) {
    shape.epilogue = epilogue;
    Product product = make_product(context, shape);
    if (product->exists()) return {std::move(product), epilogue};
  }
  shape.epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  return {require(make_product(context, shape), shape), CUBLASLT_EPILOGUE_DEFAULT};
}

template <typename T>
std::unique_ptr<Kernel> prepare_linear_as(const PrepareContext& context) {
  const TensorType& x = context.types.inputs[0];
  const Shape& weight = context.types.inputs[1].shape;
  const bool bias = context.types.has_input(2);
  const bool gelu = context.types.outputs.size() > 1;
  const ProductShape shape{.m = weight[0],
                           .n = x.shape.leading_count(),
                           .k = weight[1],
                           .transpose_a = true,
                           .operands = x.dtype,
                           .result = x.dtype};
  const bool fuses_gelu = gelu && x.dtype == DType::kBf16 && shape.m % 8 == 0;
  const cublasLtEpilogue_t with_gelu =
      bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  const cublasLtEpilogue_t with_bias = bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  auto [product, epilogue] = fuses_gelu ? first_of(context, shape, {with_gelu, with_bias})
                                        : first_of(context, shape, {with_bias});
  return cuda::make_launching_kernel(
      context,
      [product = product, epilogue = epilogue, with_gelu, bias, gelu, shape](
          const CudaLaunch& launch, const KernelArguments& arguments) {
        const bool fused = epilogue == with_gelu;
        T* y = arguments.outputs[0].as<T>();
        T* pre = gelu ? arguments.outputs[1].as<T>() : nullptr;
        T* result = gelu && !fused ? pre : y;
        product->run(launch.stream, {.a = arguments.inputs[1].data,
                                     .b = arguments.inputs[0].data,
                                     .d = result,
                                     .bias = data_of(arguments.inputs, 2),
                                     .auxiliary = pre,
                                     .workspace = arguments.workspace.data()});
        if (bias && epilogue == CUBLASLT_EPILOGUE_DEFAULT) {
          LinearKernels<T>::add_bias(launch, arguments.inputs[2].as<T>(), result, shape.n, shape.m);
        }
        if (gelu && !fused) {
          cuda::ActivationKernels<T>::gelu(launch, pre, y, arguments.outputs[0].count());
        }
      },
      kProductWorkspace);
}

std::unique_ptr<Kernel> prepare_linear(const PrepareContext& context) {
  return cuda::with_float_type(context.types.inputs[0].dtype,
                               [&]<typename T>(T) { return prepare_linear_as<T>(context); });
}

/// dx = dy W.
ProductShape input_gradient(const PrepareContext& context) {
  const TensorType& dy = context.types.inputs[0];
  const Shape& weight = context.types.inputs[1].shape;
  return {.m = weight[1],
          .n = dy.shape.leading_count(),
          .k = weight[0],
          .operands = dy.dtype,
          .result = dy.dtype};
}

std::unique_ptr<Kernel> prepare_linear_backward_input(const PrepareContext& context) {
  const ProductShape shape = input_gradient(context);
  const Product product = require(make_product(context, shape), shape);
  return cuda::make_cuda_kernel(
      [product](cudaStream_t stream, const KernelArguments& arguments) {
        product->run(stream, {.a = arguments.inputs[1].data,
                              .b = arguments.inputs[0].data,
                              .d = arguments.outputs[0].data,
                              .workspace = arguments.workspace.data()});
      },
      kProductWorkspace);
}

template <typename T>
std::unique_ptr<Kernel> prepare_linear_backward_gelu_as(const PrepareContext& context) {
  const ProductShape shape = input_gradient(context);
  const bool fuses = shape.operands == DType::kBf16 && shape.m % 8 == 0;
  auto [product, epilogue] =
      fuses ? first_of(context, shape, {CUBLASLT_EPILOGUE_DGELU}) : first_of(context, shape, {});
  return cuda::make_launching_kernel(
      context,
      [product = product, fused = epilogue == CUBLASLT_EPILOGUE_DGELU](
          const CudaLaunch& launch, const KernelArguments& arguments) {
        T* dx = arguments.outputs[0].as<T>();
        T* pre = arguments.inputs[2].as<T>();
        product->run(launch.stream, {.a = arguments.inputs[1].data,
                                     .b = arguments.inputs[0].data,
                                     .d = dx,
                                     .auxiliary = pre,
                                     .workspace = arguments.workspace.data()});
        if (fused) return;
        cuda::ActivationKernels<T>::gelu_backward(launch, dx, pre, dx,
                                                  arguments.outputs[0].count());
      },
      kProductWorkspace);
}

std::unique_ptr<Kernel> prepare_linear_backward_gelu(const PrepareContext& context) {
  return cuda::with_float_type(context.types.inputs[0].dtype, [&]<typename T>(T) {
    return prepare_linear_backward_gelu_as<T>(context);
  });
}

/// The gradient of the bias comes with the product, into the workspace where it has to be added to
/// what is there: so the sum has the same bits in both cases.
template <typename T>
std::unique_ptr<Kernel> prepare_linear_backward_weight_as(const PrepareContext& context) {
  const TensorType& dy = context.types.inputs[0];
  const TensorType& x = context.types.inputs[1];
  const bool bias = context.types.outputs.size() > 1;
  const bool adds_bias = (context.accumulate & 2U) != 0;
  const ProductShape shape{.m = x.shape[-1],
                           .n = dy.shape[-1],
                           .k = dy.shape.leading_count(),
                           .transpose_b = true,
                           .operands = dy.dtype,
                           .result = DType::kF32};
  auto [product, epilogue] =
      bias ? first_of(context, shape, {CUBLASLT_EPILOGUE_BGRADB}) : first_of(context, shape, {});
  const bool fused = epilogue == CUBLASLT_EPILOGUE_BGRADB;
  const std::int64_t beside = !bias   ? 0
                              : fused ? (adds_bias ? shape.n * 4 : 0)
                                      : cuda::column_sum_bytes(shape.k, shape.n);
  return cuda::make_launching_kernel(
      context,
      [product = product, fused, bias, adds_bias, shape](const CudaLaunch& launch,
                                                         const KernelArguments& arguments) {
        float* to = bias ? arguments.outputs[1].as<float>() : nullptr;
        auto* beside_product =
            reinterpret_cast<float*>(arguments.workspace.data() + kProductWorkspace);
        product->run(launch.stream, {.a = arguments.inputs[1].data,
                                     .b = arguments.inputs[0].data,
                                     .d = arguments.outputs[0].data,
                                     .bias = adds_bias ? beside_product : to,
                                     .workspace = arguments.workspace.data()});
        if (fused && adds_bias) cuda::launch_add(launch, to, beside_product, to, shape.n);
        if (bias && !fused) {
          LinearKernels<T>::column_sums(launch, arguments.inputs[0].as<T>(), to, shape.k, shape.n,
                                        adds_bias, beside_product);
        }
      },
      kProductWorkspace + beside);
}

std::unique_ptr<Kernel> prepare_linear_backward_weight(const PrepareContext& context) {
  return cuda::with_float_type(context.types.inputs[0].dtype, [&]<typename T>(T) {
    return prepare_linear_backward_weight_as<T>(context);
  });
}

}  // namespace

void register_linear_cuda(Registry& registry) {
  registry.add_kernel("linear", DeviceKind::kCuda, prepare_linear);
  registry.add_kernel("linear_backward_input", DeviceKind::kCuda, prepare_linear_backward_input);
  registry.add_kernel("linear_backward_gelu", DeviceKind::kCuda, prepare_linear_backward_gelu);
  registry.add_kernel("linear_backward_weight", DeviceKind::kCuda, prepare_linear_backward_weight);
}

}  // namespace ingot
