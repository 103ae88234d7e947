// Sums and maxima over the threads of a warp or a block, in an order that only the number of
// threads determines.
#pragma once

namespace ingot::cuda {

constexpr unsigned kWholeWarp = 0xffffffffU;

struct Sum {
  template <typename T>
  __device__ static T combine(T a, T b) {
    return a + b;
  }
  template <typename T>
  __device__ static T identity() {
    return 0;
  }
};
/// Like fmaxf, the maximum overlooks a NaN.
struct Maximum {
  __device__ static float combine(float a, float b) { return fmaxf(a, b); }
  template <typename T>
  __device__ static T identity() {
    return -__int_as_float(0x7f800000);
  }
};

/// Every lane gets the result.
template <typename Operation, typename T>
__device__ inline T reduce_warp(T value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = Operation::combine(value, __shfl_xor_sync(kWholeWarp, value, distance));
  }
  return value;
}

/// Reduces `N` values at once over the block, whose x extent is a multiple of 32 and which has no
/// other extent; every thread gets the results. Calls take turns at two halves of the memory, so
/// that one barrier each suffices: a half is written again only after the barrier of the call in
/// between, which comes after the last read of it.
template <typename T, int N>
class BlockReduction {
 public:
  static constexpr int kSharedValues = 2 * 32 * N;
  explicit __device__ BlockReduction(T* shared) : shared_(shared) {}

  template <typename Operation>
  __device__ void reduce(T (&values)[N]) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int warps = static_cast<int>(blockDim.x) / 32;
    T* half = shared_ + turn_ * 32 * N;
    turn_ ^= 1;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      values[i] = reduce_warp<Operation>(values[i]);
      if (lane == 0) half[i * 32 + warp] = values[i];
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const T own = lane < warps ? half[i * 32 + lane] : Operation::template identity<T>();
      values[i] = reduce_warp<Operation>(own);
    }
  }

 private:
  T* shared_;
  int turn_ = 0;
};

}  // namespace ingot::cuda
