// The pass of an optimizer over the flat store: one launch that reads master weights, gradient and
// moments once and writes weights, moments and the bf16 copy once. Blocks take chunks in turns; the
// constants of a chunk are worked out in f64 by one lane of each warp, from the step scalars in
// device memory. Where their skip flag is set, nothing is written.
//
// An Optimizer is a struct with
//   struct Step;                                      what a block derives from the step scalars
//   Step prepare(const StepScalars&) const;           called by one thread of a block
//   float2 rates(const Step&, float factor, float decay) const;         constants of a chunk
//   void update<N>(std::int64_t i, const float (&g)[N], float2 rates, const Step&, float (&w)[N])
//                                                     g: gradient times gradient_scale
// with Step::gradient_scale.
#pragma once

#include "ops/cuda_optimizer.hpp"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {

constexpr int kOptimizerThreads = 256;
constexpr int kOptimizerBlocks = 8;  ///< on a multiprocessor

/// base^exponent by squaring: a call of pow() would be far larger.
__device__ inline double integer_power(double base, std::int64_t exponent) {
  double result = 1;
  for (auto rest = static_cast<std::uint64_t>(exponent); rest != 0; rest >>= 1) {
    if ((rest & 1U) != 0) result *= base;
    base *= base;
  }
  return result;
}

template <int N, typename Optimizer>
__global__ void __launch_bounds__(kOptimizerThreads, 4)
    optimizer_kernel(const FlatStore store, const Optimizer optimizer) {
  __shared__ typename Optimizer::Step shared_step;
  __shared__ bool skip;
  if (threadIdx.x == 0) {
    skip = store.step->skip != 0;
    shared_step = optimizer.prepare(*store.step);
  }
  __syncthreads();
  if (skip) return;
  const typename Optimizer::Step step = shared_step;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t chunk = blockIdx.x; chunk < store.chunks; chunk += gridDim.x) {
    float2 rates = make_float2(0, 0);
    if (lane == 0) {
      rates =
          optimizer.rates(step, store.chunk_factors[2 * chunk], store.chunk_factors[2 * chunk + 1]);
    }
    rates.x = __shfl_sync(0xffffffffU, rates.x, 0);
    rates.y = __shfl_sync(0xffffffffU, rates.y, 0);
    for (int c = static_cast<int>(threadIdx.x) * N; c < store.chunk; c += kOptimizerThreads * N) {
      const std::int64_t i = chunk * store.chunk + c;
      float weight[N];
      float gradient[N];
      load_floats(store.master + i, weight);
      load_floats(store.gradient + i, gradient);
      // Not to be contracted with what follows: the CPU rounds here.
#pragma unroll
      for (float& g : gradient) g = __fmul_rn(g, step.gradient_scale);
      optimizer.template update<N>(i, gradient, rates, step, weight);
      store_floats(store.master + i, weight);
      if (store.compute != nullptr) store_floats(store.compute + i, weight);
    }
  }
}

/// `moments` are further arrays of the optimizer, whose alignment counts too.
template <typename Optimizer, typename... Moments>
void launch_optimizer(const CudaLaunch& launch, const FlatStore& store, const Optimizer& optimizer,
                      Moments... moments) {
  if (store.chunks == 0) return;
  const unsigned blocks = launch.blocks(store.chunks, kOptimizerBlocks);
  // Four bf16 are 8 bytes.
  if (store.chunk % 4 == 0 && aligned(16, store.master, store.gradient, moments...) &&
      aligned(8, store.compute)) {
    optimizer_kernel<4><<<blocks, kOptimizerThreads, 0, launch.stream>>>(store, optimizer);
  } else {
    optimizer_kernel<1><<<blocks, kOptimizerThreads, 0, launch.stream>>>(store, optimizer);
  }
}

}  // namespace ingot::cuda
