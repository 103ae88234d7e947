// Launch functions of the activations, which linear uses too; see activation/activation_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// For float and Bf16.
template <typename T>
struct ActivationKernels {
  /// y may be x.
  static void gelu(const CudaLaunch& launch, const T* x, T* y, std::int64_t count);
  static void relu(const CudaLaunch& launch, const T* x, T* y, std::int64_t count);

  /// dx may be dy. gelu reads its input x, relu its output y.
  static void gelu_backward(const CudaLaunch& launch, const T* dy, const T* x, T* dx,
                            std::int64_t count);
  static void relu_backward(const CudaLaunch& launch, const T* dy, const T* y, T* dx,
                            std::int64_t count);

  /// x [rows, 2 columns] = (gate, up) -> y [rows, columns].
  static void swiglu(const CudaLaunch& launch, const T* x, T* y, std::int64_t rows,
                     std::int64_t columns);
  /// dy [rows, columns], x [rows, 2 columns] -> dx [rows, 2 columns], which may be x.
  static void swiglu_backward(const CudaLaunch& launch, const T* dy, const T* x, T* dx,
                              std::int64_t rows, std::int64_t columns);
};

}  // namespace ingot::cuda
