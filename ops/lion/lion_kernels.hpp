// Launch function of lion; see lion_kernels.cu.
#pragma once

#include "ops/cuda_optimizer.hpp"

namespace ingot::cuda {

struct LionArguments {
  float* momentum = nullptr;  ///< m, like the store
  double beta1 = 0;
  double beta2 = 0;
};

void launch_lion(const CudaLaunch& launch, const FlatStore& store, const LionArguments& lion);

}  // namespace ingot::cuda
