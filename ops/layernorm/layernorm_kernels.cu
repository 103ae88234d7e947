// CUDA kernels of layernorm, add_layernorm and layernorm_backward: the normalisations that subtract
// the mean of those in ops/cuda_norm_forward.cuh and ops/cuda_norm_backward.cuh.
#include "ops/cuda_norm_backward.cuh"
#include "ops/cuda_norm_forward.cuh"
#include "ops/layernorm/layernorm_kernels.hpp"

namespace ingot::cuda {

template <typename T>
void LayernormKernels<T>::forward(const CudaLaunch& launch, const NormForward<T>& norm) {
  launch_norm_forward<true>(launch, norm);
}
template <typename T>
void LayernormKernels<T>::backward(const CudaLaunch& launch, const NormBackward<T>& norm) {
  launch_norm_backward<true>(launch, norm);
}

template struct LayernormKernels<float>;
template struct LayernormKernels<Bf16>;

}  // namespace ingot::cuda
