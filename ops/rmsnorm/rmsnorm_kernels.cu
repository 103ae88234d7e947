// CUDA kernels of rmsnorm, add_rmsnorm and rmsnorm_backward: the normalisations without a mean of
// those in ops/cuda_norm_forward.cuh and ops/cuda_norm_backward.cuh.
#include "ops/cuda_norm_backward.cuh"
#include "ops/cuda_norm_forward.cuh"
#include "ops/rmsnorm/rmsnorm_kernels.hpp"

namespace ingot::cuda {

template <typename T>
void RmsnormKernels<T>::forward(const CudaLaunch& launch, const NormForward<T>& norm) {
  launch_norm_forward<false>(launch, norm);
}
template <typename T>
void RmsnormKernels<T>::backward(const CudaLaunch& launch, const NormBackward<T>& norm) {
  launch_norm_backward<false>(launch, norm);
}

template struct RmsnormKernels<float>;
template struct RmsnormKernels<Bf16>;

}  // namespace ingot::cuda
