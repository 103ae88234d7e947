// What the factories of ingot's own CUDA kernels share. Included by <op>_cuda.cpp files.
#pragma once

#include <limits>
#include <utility>

#include "ops/contract.hpp"
#include "ops/cuda_kernel.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// A kernel whose function is void(const CudaLaunch&, const KernelArguments&).
template <typename F>
std::unique_ptr<Kernel> make_launching_kernel(const PrepareContext& context, F function,
                                              std::int64_t workspace_bytes = 0) {
  CudaLaunch launch;
  launch.multiprocessors = properties(context.device).multiProcessorCount;
  launch.shared_bytes = static_cast<int>(properties(context.device).sharedMemPerBlockOptin);
  launch.fault = cuda_device(context.device).fault();
  // Kernels count vectors in 32 bits.
  for (const auto& types : {context.types.inputs, context.types.outputs}) {
    for (const TensorType& type : types) {
      if (type.count() <= std::numeric_limits<std::uint32_t>::max()) continue;
      fail(ExitCode::kInternal,
           "a tensor of {} is too large for a CUDA kernel; use a smaller batch", type.text());
    }
  }
  return make_cuda_kernel(
      [launch, function = std::move(function)](cudaStream_t stream,
                                               const KernelArguments& arguments) {
        CudaLaunch on_stream = launch;
        on_stream.stream = stream;
        function(on_stream, arguments);
      },
      workspace_bytes);
}

/// Calls function(T{}) with float or Bf16.
template <typename F>
decltype(auto) with_float_type(DType dtype, F function) {
  return dtype == DType::kF32 ? function(float{}) : function(Bf16{});
}

/// The elements of input i, nullptr for an absent optional one.
template <typename T>
T* optional(std::span<const TensorView> tensors, std::size_t i) {
  return i < tensors.size() && tensors[i].data != nullptr ? tensors[i].as<T>() : nullptr;
}

}  // namespace ingot::cuda
