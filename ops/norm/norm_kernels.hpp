// Launch functions of square_sums and finish_norm; see norm_kernels.cu.
#pragma once

#include "ops/cuda_launch.hpp"
#include "ops/step_values.hpp"

namespace ingot::cuda {

/// sums[c] = sum of gradient[i]^2 over the `chunk` elements of chunk c, in f64.
void launch_square_sums(const CudaLaunch& launch, const float* gradient, double* sums,
                        std::int64_t chunks, std::int64_t chunk);

/// Sets gradient_norm, gradient_scale and skip of `step`, which lies in device memory, from the sum
/// of partials[order[i]] over i < count; of partials[i] where `order` is null.
void launch_finish_norm(const CudaLaunch& launch, const double* partials, const std::int32_t* order,
                        std::int64_t count, StepScalars* step);

}  // namespace ingot::cuda
