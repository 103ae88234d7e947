// CUDA kernel of ema. The average is moved towards the weights by (1 - decay) times the distance:
// with a decay near 1 this loses less to rounding than the sum of the two products.
#include "ops/cuda_map.cuh"
#include "ops/ema/ema_kernels.hpp"

namespace ingot::cuda {
namespace {

template <int N>
__global__ void __launch_bounds__(kMapThreads)
    ema_kernel(float* average, const float* master, const StepScalars* step, std::int64_t count) {
  __shared__ float shared_pull;
  __shared__ bool skip;
  if (threadIdx.x == 0) {
    skip = step->skip != 0;
    shared_pull = static_cast<float>(1 - step->ema_decay);
  }
  __syncthreads();
  if (skip) return;
  const float pull = shared_pull;
  for_each_vector<N>(count, [&](std::int64_t i, auto extent) {
    constexpr int kCount = decltype(extent)::kValue;
    float old[kCount];
    float weight[kCount];
    load_floats(average + i, old);
    load_floats(master + i, weight);
#pragma unroll
    for (int k = 0; k < kCount; ++k) old[k] = fmaf(weight[k] - old[k], pull, old[k]);
    store_floats(average + i, old);
  });
}

}  // namespace

void launch_ema(const CudaLaunch& launch, float* average, const float* master,
                const StepScalars* step, std::int64_t count) {
  if (count == 0) return;
  const bool vectors = aligned(16, average, master);
  const std::int64_t work = vectors ? pieces_of(count, 4) : count;
  const unsigned blocks = launch.blocks(pieces_of(work, kMapThreads), kMapBlocks);
  const auto kernel = vectors ? ema_kernel<4> : ema_kernel<1>;
  kernel<<<blocks, kMapThreads, 0, launch.stream>>>(average, master, step, count);
}

}  // namespace ingot::cuda
