// Chooses the CUDA kernels of tabular_input and tabular_input_backward.
#include "ops/cuda_index_sum.hpp"
#include "ops/cuda_op.hpp"
#include "ops/tabular/tabular_kernels.hpp"

namespace ingot {

namespace {

using cuda::CudaLaunch;

std::unique_ptr<Kernel> forward_kernel(const PrepareContext& context) {
  return cuda::with_float_type(context.types.outputs[0].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context, [](const CudaLaunch& launch, const KernelArguments& arguments) {
          const std::span<const TensorView> in = arguments.inputs;
          typename cuda::TabularKernels<T>::Arguments own;
          own.features = cuda::optional<float>(in, 0);
          own.categories = cuda::optional<std::int32_t>(in, 1);
          own.table = cuda::optional<T>(in, 2);
          own.y = arguments.outputs[0].as<T>();
          own.rows = in[0].type.shape[0];
          own.feature_columns = static_cast<int>(in[0].type.shape[1]);
          own.category_columns = static_cast<int>(in[1].type.shape[1]);
          own.width = static_cast<int>(in[2].type.shape[1]);
          own.table_rows = in[2].type.shape[0];
          own.fault = launch.fault;
          cuda::TabularKernels<T>::forward(launch, own);
        });
  });
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const std::int64_t count = context.types.inputs[0].count();
  const std::int64_t categories = context.types.inputs[0].shape[1];
  const std::int64_t row_length = context.types.inputs[1].shape[1];
  const Shape& table = context.types.outputs[0].shape;
  const std::int64_t rows = table[0];
  const std::int64_t width = table[1];
  const std::int64_t features = row_length - categories * width;
  const bool accumulate = (context.accumulate & 1U) != 0;
  return cuda::with_float_type(context.types.inputs[1].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context,
        [=](const CudaLaunch& launch, const KernelArguments& arguments) {
          typename cuda::IndexSumKernels<T>::Arguments own;
          own.indices = cuda::optional<std::int32_t>(arguments.inputs, 0);
          own.count = count;
          own.rows = rows;
          own.width = width;
          own.from = arguments.inputs[1].as<T>() + features;
          own.group = categories;
          own.stride = row_length;
          own.to = cuda::optional<float>(arguments.outputs, 0);
          own.accumulate = accumulate;
          own.workspace = arguments.workspace.data();
          own.fault = cuda::FaultKind::kCategoryGradientIndex;
          cuda::IndexSumKernels<T>::run(launch, own);
        },
        cuda::index_sum_workspace_bytes(count, rows, width));
  });
}

}  // namespace

void register_tabular_cuda(Registry& registry) {
  registry.add_kernel("tabular_input", DeviceKind::kCuda, forward_kernel);
  registry.add_kernel("tabular_input_backward", DeviceKind::kCuda, backward_kernel);
}

}  // namespace ingot
