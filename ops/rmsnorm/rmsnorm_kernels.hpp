// Launch functions of rmsnorm and its backward, for float and Bf16; see rmsnorm_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_norm.hpp"

namespace ingot::cuda {

template <typename T>
struct RmsnormKernels {
  static void forward(const CudaLaunch& launch, const NormForward<T>& norm);
  static void backward(const CudaLaunch& launch, const NormBackward<T>& norm);
};

}  // namespace ingot::cuda
