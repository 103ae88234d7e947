// Which probabilities dropout keeps, on the device: the draws of ops/cuda_philox.cuh for the four
// consecutive keys of one Philox block, and their exchange between the lanes of a warp that hold
// those keys in a fragment of mma.m16n8k16, so that no block is drawn twice.
#pragma once

#include <cstdint>

#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_math.cuh"
#include "ops/cuda_philox.cuh"

namespace ingot::cuda {

/// Draws for one batch element. Made by whole warps.
class KeepDraws {
 public:
  KeepDraws() = default;
  __device__ KeepDraws(const AttentionDropout& dropout, int tokens, int heads, int batch)
      : seed_(load_shared_by<kWarpSize>(dropout.seed)),
        sample_(static_cast<std::uint64_t>(load_shared_by<kWarpSize>(dropout.samples + batch))),
        first_head_(dropout.layer * heads),
        tokens_(tokens),
        rate_(dropout.rate) {}

  /// Bit i: whether query t of `head` keeps key 4 * block + i.
  __device__ std::uint32_t keys_kept(int head, int t, int block) const {
    const std::int64_t row = (first_head_ + head) * tokens_ + t;
    const auto index = static_cast<std::uint64_t>(row * ((tokens_ + 3) / 4) + block);
    const uint4 words = philox_words(seed_, RandomPurpose::kAttentionDropout, sample_, index);
    return kept(words.x) | kept(words.y) << 1 | kept(words.z) << 2 | kept(words.w) << 3;
  }

 private:
  __device__ std::uint32_t kept(std::uint32_t word) const {
    return static_cast<float>(word >> 8) * 0x1p-24F >= rate_ ? 1U : 0U;
  }

  std::uint64_t seed_ = 0;
  std::uint64_t sample_ = 0;
  std::int64_t first_head_ = 0;
  std::int32_t tokens_ = 0;
  float rate_ = 0;
};

/// For fragments whose rows are queries and columns keys: bit 4 * n + i of the result tells whether
/// element i of C fragment n (keys first_key + 8 * n on) is kept, for kCount <= 8 fragments.
///
/// A block of four keys lies in two neighbouring lanes; the even one draws it for row g, the odd
/// one for row g + 8, and they exchange.
template <int kCount>
__device__ __forceinline__ std::uint32_t kept_of_rows(const KeepDraws& draws, int head,
                                                      int first_query, int first_key, int lane) {
  static_assert(kCount <= 8);
  const int odd = lane & 1;
  const int t = first_query + (lane >> 2) + 8 * odd;
  const int block = first_key / 4 + ((lane >> 1) & 1);
  std::uint32_t own = 0;
#pragma unroll 1
  for (int n = 0; n < kCount; ++n) own |= draws.keys_kept(head, t, block + 2 * n) << (4 * n);
  const std::uint32_t other = __shfl_xor_sync(kAllLanes, own, 1);
  const std::uint32_t low = (odd != 0 ? other : own) >> (2 * odd);
  const std::uint32_t high = (odd != 0 ? own : other) >> (2 * odd);
  return (low & 0x33333333U) | (high & 0x33333333U) << 2;
}

/// The same for fragments whose rows are keys and columns queries (first_query + 8 * n on).
///
/// A block of four keys of one query lies in four lanes that differ in their rows; each draws one
/// of the four (query, block) pairs of the fragment, and they exchange.
template <int kCount>
__device__ __forceinline__ std::uint32_t kept_of_columns(const KeepDraws& draws, int head,
                                                         int first_query, int first_key, int lane) {
  static_assert(kCount <= 8);
  const int part = (lane >> 2) & 3;
  const int t = first_query + 2 * (lane & 3) + (part & 1);
  const int block = first_key / 4 + (lane >> 4) + 2 * (part >> 1);
  std::uint32_t own = 0;
#pragma unroll 1
  for (int n = 0; n < kCount; ++n) own |= draws.keys_kept(head, t + 8 * n, block) << (4 * n);
  std::uint32_t result = 0;
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    const std::uint32_t drawn = step == 0 ? own : __shfl_xor_sync(kAllLanes, own, 4 * step);
    result |= ((drawn >> part) & 0x11111111U) << (part ^ step);
  }
  return result;
}

}  // namespace ingot::cuda
