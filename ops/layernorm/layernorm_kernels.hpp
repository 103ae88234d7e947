// Launch functions of layernorm and its backward, for float and Bf16; see layernorm_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_norm.hpp"

namespace ingot::cuda {

template <typename T>
struct LayernormKernels {
  static void forward(const CudaLaunch& launch, const NormForward<T>& norm);
  static void backward(const CudaLaunch& launch, const NormBackward<T>& norm);
};

}  // namespace ingot::cuda
