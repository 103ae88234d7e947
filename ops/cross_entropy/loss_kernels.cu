// CUDA kernels of binary_cross_entropy and loss_sums.
#include "ops/cross_entropy/cross_entropy_kernels.hpp"
#include "ops/cuda_fault.cuh"
#include "ops/cuda_ordered_sum.cuh"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {
namespace {

constexpr int kThreads = 256;

/// log(1 + e^x) without overflow.
__device__ inline float softplus(float x) {
  return fmaxf(x, 0.0F) + log1pf(expf(-fabsf(x)));
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    binary_cross_entropy_kernel(const T* logits, const std::int32_t* labels, float* losses,
                                T* dlogits, std::int64_t rows, float positive_weight,
                                KernelFault* fault) {
  for (std::int64_t row = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; row < rows;
       row += std::int64_t{gridDim.x} * kThreads) {
    const std::int32_t label = labels[row];
    const float x = load_float(logits + row);
    float loss = 0;
    float gradient = 0;
    if (label == 1) {
      loss = positive_weight * softplus(-x);
      gradient = -positive_weight / (1.0F + expf(x));
    } else if (label == 0) {
      loss = softplus(x);
      gradient = 1.0F / (1.0F + expf(-x));
    } else if (label > 1) {
      report_fault(fault, FaultKind::kBinaryLabel, label, row, 2);
    }
    losses[row] = loss;
    if (dlogits != nullptr) store_float(dlogits + row, gradient);
  }
}

/// Samples of up to so many losses are added up by a thread each.
constexpr std::int64_t kShortSample = 16;

__global__ void __launch_bounds__(kThreads)
    short_loss_sums_kernel(const float* losses, double* sums, std::int64_t samples,
                           std::int64_t length) {
  for (std::int64_t s = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; s < samples;
       s += std::int64_t{gridDim.x} * kThreads) {
    double sum = 0;
    for (std::int64_t i = 0; i < length; ++i) sum += static_cast<double>(losses[s * length + i]);
    sums[s] = sum;
  }
}

__global__ void __launch_bounds__(kOrderedThreads)
    loss_sums_kernel(const float* losses, double* sums, std::int64_t samples, std::int64_t length) {
  __shared__ double tile[kOrderedTile];
  for (std::int64_t s = blockIdx.x; s < samples; s += gridDim.x) {
    const double sum = ordered_sum(losses + s * length, length, 0.0, tile);
    if (threadIdx.x == 0) sums[s] = sum;
  }
}

}  // namespace

template <typename T>
void BinaryCrossEntropyKernels<T>::run(const CudaLaunch& launch, const T* logits,
                                       const std::int32_t* labels, float* losses, T* dlogits,
                                       std::int64_t rows, float positive_weight) {
  if (rows == 0) return;
  binary_cross_entropy_kernel<<<launch.blocks(pieces_of(rows, kThreads), 8), kThreads, 0,
                                launch.stream>>>(logits, labels, losses, dlogits, rows,
                                                 positive_weight, launch.fault);
}

template struct BinaryCrossEntropyKernels<float>;
template struct BinaryCrossEntropyKernels<Bf16>;

void launch_loss_sums(const CudaLaunch& launch, const float* losses, double* sums,
                      std::int64_t samples, std::int64_t length) {
  if (samples == 0) return;
  if (length <= kShortSample) {
    short_loss_sums_kernel<<<launch.blocks(pieces_of(samples, kThreads), 8), kThreads, 0,
                             launch.stream>>>(losses, sums, samples, length);
  } else {
    loss_sums_kernel<<<launch.blocks(samples, 16), kOrderedThreads, 0, launch.stream>>>(
        losses, sums, samples, length);
  }
}

}  // namespace ingot::cuda
