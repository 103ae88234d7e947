// Launch function of ema; see ema_kernels.cu.
#pragma once

#include "ops/cuda_launch.hpp"
#include "ops/step_values.hpp"

namespace ingot::cuda {

/// `step` lies in device memory.
void launch_ema(const CudaLaunch& launch, float* average, const float* master,
                const StepScalars* step, std::int64_t count);

}  // namespace ingot::cuda
