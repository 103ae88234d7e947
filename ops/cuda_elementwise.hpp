// Launch functions of add and cast, which other ops use too; see
// elementwise/elementwise_kernels.cu.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// y[i] = a[i] + b[i]; y may be a. For float and Bf16.
template <typename T>
void launch_add(const CudaLaunch& launch, const T* a, const T* b, T* y, std::int64_t count);

/// Rounds to nearest even.
void launch_cast(const CudaLaunch& launch, const float* x, Bf16* y, std::int64_t count);
void launch_cast(const CudaLaunch& launch, const Bf16* x, float* y, std::int64_t count);

}  // namespace ingot::cuda
