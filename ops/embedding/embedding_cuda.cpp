// Chooses the CUDA kernels of embedding and embedding_backward.
#include "ops/cuda_index_sum.hpp"
#include "ops/cuda_op.hpp"
#include "ops/embedding/embedding_kernels.hpp"

namespace ingot {

namespace {

using cuda::CudaLaunch;

std::unique_ptr<Kernel> forward_kernel(const PrepareContext& context) {
  return cuda::with_float_type(context.types.outputs[0].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context, [](const CudaLaunch& launch, const KernelArguments& arguments) {
          const std::span<const TensorView> in = arguments.inputs;
          typename cuda::EmbeddingKernels<T>::Arguments own;
          own.tokens = in[0].as<std::int32_t>();
          own.table = in[1].as<T>();
          own.positions = cuda::optional<std::int32_t>(in, 2);
          own.position_table = cuda::optional<T>(in, 3);
          own.y = arguments.outputs[0].as<T>();
          own.count = in[0].count();
          own.rows = in[1].type.shape[0];
          own.position_rows = own.position_table == nullptr ? 0 : in[3].type.shape[0];
          own.columns = in[1].type.shape[1];
          own.fault = launch.fault;
          cuda::EmbeddingKernels<T>::forward(launch, own);
        });
  });
}

std::unique_ptr<Kernel> backward_kernel(const PrepareContext& context) {
  const std::int64_t count = context.types.inputs[0].count();
  const Shape& table = context.types.outputs[0].shape;
  const std::int64_t rows = table[0];
  const std::int64_t width = table[1];
  const bool accumulate = (context.accumulate & 1U) != 0;
  return cuda::with_float_type(context.types.inputs[1].dtype, [&](auto element) {
    using T = decltype(element);
    return cuda::make_launching_kernel(
        context,
        [=](const CudaLaunch& launch, const KernelArguments& arguments) {
          typename cuda::IndexSumKernels<T>::Arguments own;
          own.indices = arguments.inputs[0].as<std::int32_t>();
          own.count = count;
          own.rows = rows;
          own.width = width;
          own.from = arguments.inputs[1].as<T>();
          own.stride = width;
          own.to = arguments.outputs[0].as<float>();
          own.accumulate = accumulate;
          own.workspace = arguments.workspace.data();
          own.fault = cuda::FaultKind::kGradientIndex;
          cuda::IndexSumKernels<T>::run(launch, own);
        },
        cuda::index_sum_workspace_bytes(count, rows, width));
  });
}

}  // namespace

void register_embedding_cuda(Registry& registry) {
  registry.add_kernel("embedding", DeviceKind::kCuda, forward_kernel);
  registry.add_kernel("embedding_backward", DeviceKind::kCuda, backward_kernel);
}

}  // namespace ingot
