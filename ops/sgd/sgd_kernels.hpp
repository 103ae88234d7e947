// Launch function of sgd; see sgd_kernels.cu.
#pragma once

#include "ops/cuda_optimizer.hpp"

namespace ingot::cuda {

struct SgdArguments {
  float* velocity = nullptr;  ///< the momentum's buffer, like the store
  double momentum = 0;
};

void launch_sgd(const CudaLaunch& launch, const FlatStore& store, const SgdArguments& sgd);

}  // namespace ingot::cuda
