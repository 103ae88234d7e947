// Constants and the exponential that all of attention's CUDA kernels share. Scores are multiplied
// by log2(e) / sqrt(D), so that probabilities are powers of two, which the hardware computes.
#pragma once

namespace ingot::cuda {

constexpr int kWarpSize = 32;
constexpr unsigned kAllLanes = 0xffffffffU;
constexpr float kLog2E = 1.4426950408889634F;
constexpr float kLn2 = 0.6931471805599453F;
constexpr float kMinusInfinity = -__builtin_huge_valf();

/// 2^x in one instruction: relative error 2^-22, and 0 for minus infinity.
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// *from, the same for every kLanes neighbouring lanes, read by the first of them only. All lanes
/// of the warp call it if kLanes is not 1; reads nothing and gives 0 where `from` is nullptr.
template <int kLanes, typename T>
__device__ __forceinline__ T load_shared_by(const T* from) {
  T value = 0;
  if (from != nullptr && threadIdx.x % kLanes == 0) value = *from;
  if constexpr (kLanes == 1) return value;
  return __shfl_sync(kAllLanes, value, 0, kLanes);
}

}  // namespace ingot::cuda
