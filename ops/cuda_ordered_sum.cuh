// A sum in f64 strictly in index order, as a loss is added up: its bits then depend neither on how
// samples are spread over batches nor on the device. One thread adds; the others bring the values.
#pragma once

#include <cstdint>

namespace ingot::cuda {

constexpr int kOrderedThreads = 128;
constexpr int kOrderedTile = 1024;

/// sum + values[0] + values[1] + ... for thread 0; what other threads get means nothing. Called by
/// all kOrderedThreads threads of a block with `tile` [kOrderedTile] in shared memory.
template <typename T>
__device__ inline double ordered_sum(const T* values, std::int64_t count, double sum,
                                     double* tile) {
  for (std::int64_t begin = 0; begin < count; begin += kOrderedTile) {
    const int here = static_cast<int>(min(count - begin, std::int64_t{kOrderedTile}));
    __syncthreads();  // the tile before has been added
    for (int i = static_cast<int>(threadIdx.x); i < here; i += kOrderedThreads) {
      tile[i] = static_cast<double>(values[begin + i]);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
#pragma unroll 8
      for (int i = 0; i < here; ++i) sum += tile[i];
    }
  }
  return sum;
}

}  // namespace ingot::cuda
