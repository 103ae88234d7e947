// Launch functions of square_sums and finish_norm; see norm_kernels.cu.
#pragma once

#include "ops/cuda_launch.hpp"
#include "ops/step_values.hpp"

namespace ingot::cuda {

/// sums[c] = sum of gradient[i]^2 over the `chunk` elements of chunk c, in f64.
void launch_square_sums(const CudaLaunch& launch, const float* gradient, double* sums,
                        std::int64_t chunks, std::int64_t chunk);

/// Sets gradient_norm, gradient_scale and skip of `step`, which lies in device memory.
void launch_finish_norm(const CudaLaunch& launch, const double* partials, std::int64_t count,
                        StepScalars* step);

}  // namespace ingot::cuda
