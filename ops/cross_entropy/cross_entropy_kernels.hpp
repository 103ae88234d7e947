// Launch functions of the losses; see cross_entropy_kernels.cu and loss_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// For float and Bf16.
template <typename T>
struct CrossEntropyKernels {
  /// logits [rows, columns], targets [rows] -> losses [rows] and, unless nullptr, dlogits [rows,
  /// columns], which may be logits. A target of `columns` or more is reported and not counted.
  static void run(const CudaLaunch& launch, const T* logits, const std::int32_t* targets,
                  float* losses, T* dlogits, std::int64_t rows, std::int64_t columns);
};

template <typename T>
struct BinaryCrossEntropyKernels {
  /// logits [rows], labels [rows] -> losses [rows] and, unless nullptr, dlogits [rows], which may
  /// be logits. A label above 1 is reported and not counted.
  static void run(const CudaLaunch& launch, const T* logits, const std::int32_t* labels,
                  float* losses, T* dlogits, std::int64_t rows, float positive_weight);
};

/// sums[s] = losses[s, 0] + losses[s, 1] + ... in f64 and in this order.
void launch_loss_sums(const CudaLaunch& launch, const float* losses, double* sums,
                      std::int64_t samples, std::int64_t length);

}  // namespace ingot::cuda
