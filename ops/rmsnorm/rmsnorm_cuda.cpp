// The CUDA kernels of rmsnorm, add_rmsnorm and rmsnorm_backward.
#include "ops/cuda_norm_op.hpp"
#include "ops/rmsnorm/rmsnorm_kernels.hpp"

namespace ingot {

void register_rmsnorm_cuda(Registry& registry) {
  cuda::NormOp<cuda::RmsnormKernels, /*kMean=*/false>::add_kernels(registry, "rmsnorm");
}

}  // namespace ingot
