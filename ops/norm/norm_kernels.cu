// CUDA kernels of square_sums and finish_norm. Squares are taken and added in f64, so that neither
// large gradients overflow nor many small ones are lost.
//
// The contract asks for the partials' sum in index order, so that the chunks of zeros which pad a
// store, and of which there are more with more ranks, change nothing. One thread would need a
// millisecond for a model of GPT-2's size; here many add, each keeping the rounding errors of its
// additions in a second f64. The exact sum, rounded once, is what comes out, whatever the order.
#include "ops/cuda_reduce.cuh"
#include "ops/cuda_vector.cuh"
#include "ops/norm/norm_kernels.hpp"

namespace ingot::cuda {
namespace {

constexpr int kWarps = 8;

/// A warp has a chunk. N: 4, where chunks are whole vectors, or 1.
template <int N>
__global__ void __launch_bounds__(32 * kWarps)
    square_sums_kernel(const float* gradient, double* sums, std::int64_t chunks,
                       std::int64_t chunk) {
  const auto lane = static_cast<std::int64_t>(threadIdx.x % 32);
  for (std::int64_t c = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; c < chunks;
       c += std::int64_t{gridDim.x} * kWarps) {
    const float* from = gradient + c * chunk;
    double sum[N] = {};
#pragma unroll 8
    for (std::int64_t i = lane * N; i < chunk; i += 32 * N) {
      float values[N];
      load_floats(from + i, values);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const auto value = static_cast<double>(values[k]);
        sum[k] = fma(value, value, sum[k]);
      }
    }
    double total = 0;
#pragma unroll
    for (int k = 0; k < N; ++k) total += sum[k];
    total = reduce_warp<Sum>(total);
    if (lane == 0) sums[c] = total;
  }
}

/// An unevaluated sum, |error| at most half a unit in the last place of value.
struct Exact {
  double value;
  double error;
};

/// Adds without losing what rounds off. Source: Knuth, TAOCP 2, 4.2.2, theorem B (TwoSum); the
/// compiler must not contract or reorder, hence the intrinsics.
__device__ inline Exact add(Exact a, double b) {
  const double sum = __dadd_rn(a.value, b);
  const double of_b = __dsub_rn(sum, a.value);
  const double of_a = __dsub_rn(sum, of_b);
  const double lost = __dadd_rn(__dsub_rn(a.value, of_a), __dsub_rn(b, of_b));
  // Infinite and not-a-number sums lose nothing that could be kept.
  return {sum, __dadd_rn(a.error, isfinite(sum) ? lost : 0.0)};
}

constexpr int kFinishThreads = 1024;

__global__ void __launch_bounds__(kFinishThreads)
    finish_norm_kernel(const double* partials, const std::int32_t* order, std::int64_t count,
                       StepScalars* step) {
  __shared__ double values[kFinishThreads / 32];
  __shared__ double errors[kFinishThreads / 32];
  Exact sum{0, 0};
#pragma unroll 4
  for (std::int64_t i = threadIdx.x; i < count; i += kFinishThreads) {
    sum = add(sum, partials[order == nullptr ? i : order[i]]);
  }
  const auto reduce = [](Exact own) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      const double value = __shfl_xor_sync(kWholeWarp, own.value, distance);
      const double error = __shfl_xor_sync(kWholeWarp, own.error, distance);
      own = add(own, value);
      own.error = __dadd_rn(own.error, error);
    }
    return own;
  };
  sum = reduce(sum);
  if (threadIdx.x % 32 == 0) {
    values[threadIdx.x / 32] = sum.value;
    errors[threadIdx.x / 32] = sum.error;
  }
  __syncthreads();
  if (threadIdx.x >= 32) return;
  sum = reduce({values[threadIdx.x], errors[threadIdx.x]});
  if (threadIdx.x != 0) return;

  const double counted = step->counted;
  const double norm = sqrt(sum.value + sum.error) / counted;
  step->gradient_norm = norm;
  if (!isfinite(norm)) {
    step->skip = 1;
    step->gradient_scale = 0;
    return;
  }
  step->skip = 0;
  double clip = 1;
  if (step->clip_norm > 0) clip = fmin(1.0, step->clip_norm / (norm + 1e-6));
  step->gradient_scale = clip / counted;
}

}  // namespace

void launch_square_sums(const CudaLaunch& launch, const float* gradient, double* sums,
                        std::int64_t chunks, std::int64_t chunk) {
  if (chunks == 0) return;
  const unsigned blocks = launch.blocks(pieces_of(chunks, kWarps), 8);
  const bool vectors = chunk % 4 == 0 && aligned(16, gradient);
  const auto kernel = vectors ? square_sums_kernel<4> : square_sums_kernel<1>;
  kernel<<<blocks, 32 * kWarps, 0, launch.stream>>>(gradient, sums, chunks, chunk);
}

void launch_finish_norm(const CudaLaunch& launch, const double* partials, const std::int32_t* order,
                        std::int64_t count, StepScalars* step) {
  finish_norm_kernel<<<1, kFinishThreads, 0, launch.stream>>>(partials, order, count, step);
}

}  // namespace ingot::cuda
