// The CUDA kernels of layernorm, add_layernorm and layernorm_backward.
#include "ops/cuda_norm_op.hpp"
#include "ops/layernorm/layernorm_kernels.hpp"

namespace ingot {

void register_layernorm_cuda(Registry& registry) {
  cuda::NormOp<cuda::LayernormKernels, /*kMean=*/true>::add_kernels(registry, "layernorm");
}

}  // namespace ingot
