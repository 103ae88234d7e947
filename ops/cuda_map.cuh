// Kernels of functions of single elements, y[i] = f(x[i]) or f(a[i], b[i]). The output may be an
// input's memory: an element is read and written by the same thread.
#pragma once

#include <algorithm>

#include "ops/cuda_launch.hpp"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {

constexpr int kMapThreads = 256;
/// Full occupancy: 2048 threads on a multiprocessor.
constexpr int kMapBlocks = 8;

/// Calls body(i, std::integral_constant-like count) for vectors of N elements at i = 0, N, ... and
/// the N - 1 elements at most that are left over, one by one.
template <int N>
struct Count {
  static constexpr int kValue = N;
};
template <int N, typename Body>
__device__ inline void for_each_vector(std::int64_t count, Body body) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  const std::int64_t thread = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t vectors = count / N;
  for (std::int64_t v = thread; v < vectors; v += threads) body(v * N, Count<N>{});
  if constexpr (N > 1) {
    const std::int64_t i = vectors * N + thread;
    if (i < count) body(i, Count<1>{});
  }
}

template <int N, typename X, typename Y, typename Function>
__global__ void __launch_bounds__(kMapThreads)
    map_one(const X* x, Y* y, std::int64_t count, Function function) {
  for_each_vector<N>(count, [&](std::int64_t i, auto extent) {
    float values[decltype(extent)::kValue];
    load_floats(x + i, values);
#pragma unroll
    for (float& value : values) value = function(value);
    store_floats(y + i, values);
  });
}

template <int N, typename T, typename Function>
__global__ void __launch_bounds__(kMapThreads)
    map_two(const T* a, const T* b, T* y, std::int64_t count, Function function) {
  for_each_vector<N>(count, [&](std::int64_t i, auto extent) {
    constexpr int kCount = decltype(extent)::kValue;
    float values[kCount];
    float others[kCount];
    load_floats(a + i, values);
    load_floats(b + i, others);
#pragma unroll
    for (int k = 0; k < kCount; ++k) values[k] = function(values[k], others[k]);
    store_floats(y + i, values);
  });
}

template <typename X, typename Y, typename Function>
void launch_map_one(const CudaLaunch& launch, const X* x, Y* y, std::int64_t count,
                    Function function) {
  if (count == 0) return;
  // The wider of the two types fills 16 bytes.
  constexpr int kElements = std::min(kVector<X>, kVector<Y>);
  const bool vectors = aligned(kElements * sizeof(X), x) && aligned(kElements * sizeof(Y), y);
  const std::int64_t work = vectors ? pieces_of(count, kElements) : count;
  const unsigned blocks = launch.blocks(pieces_of(work, kMapThreads), kMapBlocks);
  if (vectors) {
    map_one<kElements><<<blocks, kMapThreads, 0, launch.stream>>>(x, y, count, function);
  } else {
    map_one<1><<<blocks, kMapThreads, 0, launch.stream>>>(x, y, count, function);
  }
}

template <typename T, typename Function>
void launch_map_two(const CudaLaunch& launch, const T* a, const T* b, T* y, std::int64_t count,
                    Function function) {
  if (count == 0) return;
  const bool vectors = aligned(16, a, b, y);
  const std::int64_t work = vectors ? pieces_of(count, kVector<T>) : count;
  const unsigned blocks = launch.blocks(pieces_of(work, kMapThreads), kMapBlocks);
  if (vectors) {
    map_two<kVector<T>><<<blocks, kMapThreads, 0, launch.stream>>>(a, b, y, count, function);
  } else {
    map_two<1><<<blocks, kMapThreads, 0, launch.stream>>>(a, b, y, count, function);
  }
}

}  // namespace ingot::cuda
