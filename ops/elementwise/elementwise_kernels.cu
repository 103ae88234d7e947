// CUDA kernels of add and cast: one pass over memory.
#include "ops/cuda_elementwise.hpp"
#include "ops/cuda_map.cuh"

namespace ingot::cuda {
namespace {

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Same {
  __device__ float operator()(float x) const { return x; }
};

}  // namespace

template <typename T>
void launch_add(const CudaLaunch& launch, const T* a, const T* b, T* y, std::int64_t count) {
  launch_map_two(launch, a, b, y, count, Add{});
}
template void launch_add(const CudaLaunch&, const float*, const float*, float*, std::int64_t);
template void launch_add(const CudaLaunch&, const Bf16*, const Bf16*, Bf16*, std::int64_t);

void launch_cast(const CudaLaunch& launch, const float* x, Bf16* y, std::int64_t count) {
  launch_map_one(launch, x, y, count, Same{});
}
void launch_cast(const CudaLaunch& launch, const Bf16* x, float* y, std::int64_t count) {
  launch_map_one(launch, x, y, count, Same{});
}

}  // namespace ingot::cuda
