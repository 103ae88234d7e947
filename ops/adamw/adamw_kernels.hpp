// Launch function of adamw; see adamw_kernels.cu.
#pragma once

#include "ops/cuda_optimizer.hpp"

namespace ingot::cuda {

struct AdamwArguments {
  float* first = nullptr;   ///< moment m, like the store
  float* second = nullptr;  ///< moment v
  double beta1 = 0;
  double beta2 = 0;
  double epsilon = 0;
};

void launch_adamw(const CudaLaunch& launch, const FlatStore& store, const AdamwArguments& adamw);

}  // namespace ingot::cuda
