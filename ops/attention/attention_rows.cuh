// Which keys the rows of a block of queries see: the range of keys that the block has to look at,
// and the exact range of each row that a lane holds in fragments of mma.m16n8k16.
#pragma once

#include <cstdint>

#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_math.cuh"

namespace ingot::cuda {

/// Position of query 0; a cache that is longer than its keys counts as full. Called by whole warps.
__device__ __forceinline__ int first_position(const AttentionMask& mask, int keys) {
  const std::int64_t offset = load_shared_by<kWarpSize>(mask.offset);
  return offset < 0 ? 0 : offset < keys ? static_cast<int>(offset) : keys;
}

/// First key that query t sees, before the limit of its own position; the same t in every kLanes
/// neighbouring lanes. Called by whole warps if kLanes is not 1.
template <int kLanes>
__device__ __forceinline__ int document_start(const AttentionMask& mask, int batch, int t,
                                              int queries) {
  const bool given = mask.documents != nullptr && t < queries;
  const std::int64_t at = static_cast<std::int64_t>(batch) * queries + t;
  const int start = load_shared_by<kLanes>(given ? mask.documents + at : nullptr);
  return start < 0 ? 0 : start < t ? start : t;
}

/// Keys [first, end).
struct KeySpan {
  int first;
  int end;
};

/// Keys that some query of [query, query + count) sees. Called by all threads of the block;
/// `scratch` is one int per warp, free again after the next barrier.
template <int kThreads>
__device__ KeySpan keys_of_block(const AttentionMask& mask, int batch, int query, int count,
                                 int queries, int keys, int* scratch) {
  const int past = query + count < queries ? query + count : queries;
  const int end = first_position(mask, keys) + past;
  KeySpan span{0, end < keys ? end : keys};
  if (mask.documents == nullptr) return span;
  int first = query;
  for (int at = 0; at < count; at += kThreads) {
    const int t = query + at + static_cast<int>(threadIdx.x);
    const int start = document_start<1>(mask, batch, t, queries);
    if (t < past) first = min(first, start);
  }
  first = __reduce_min_sync(kAllLanes, first);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = first;
  __syncthreads();
  for (int warp = 0; warp < kThreads / 32; ++warp) first = min(first, scratch[warp]);
  span.first = first;
  return span;
}

/// One past the last query that sees a key of [key, key + count); scratch as above.
template <int kThreads>
__device__ int queries_of_block(const AttentionMask& mask, int batch, int key, int count,
                                int tokens, int* scratch) {
  if (mask.documents == nullptr) return tokens;
  int end = key;
  for (int at = key; at < tokens; at += kThreads) {
    const int t = at + static_cast<int>(threadIdx.x);
    const int start = document_start<1>(mask, batch, t, tokens);
    if (t < tokens && start < key + count) end = t + 1;
  }
  end = __reduce_max_sync(kAllLanes, end);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = end;
  __syncthreads();
  for (int warp = 0; warp < kThreads / 32; ++warp) end = max(end, scratch[warp]);
  return end;
}

/// The keys that the rows of a lane see: rows g and g + 8 of kRowTiles fragments of 16 rows.
template <int kRowTiles>
class LaneRows {
 public:
  __device__ LaneRows(const AttentionMask& mask, int batch, int query, int queries, int keys,
                      int lane)
      : position_(first_position(mask, keys) + query + (lane >> 2)), last_key_(keys - 1) {
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      first_[i] = document_start<4>(mask, batch, query + 8 * i + (lane >> 2), queries);
    }
  }

  __device__ bool sees(int m, int half, int key) const {
    return key >= first_[2 * m + half] && key <= last(2 * m + half);
  }
  /// Whether no row of the warp sees any of the keys [key, key + count).
  __device__ bool warp_sees_none(int key, int count) const {
    bool none = true;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      none = none && (first_[i] >= key + count || last(i) < key);
    }
    return __all_sync(kAllLanes, none);
  }
  /// Whether every row of the warp sees all of the keys [key, key + count).
  __device__ bool warp_sees_all(int key, int count) const {
    bool all = true;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      all = all && first_[i] <= key && last(i) >= key + count - 1;
    }
    return __all_sync(kAllLanes, all);
  }

 private:
  __device__ int last(int i) const {
    return min(position_ + 8 * i, last_key_);
  }

  int position_;  ///< of the lane's first row; the others stand 8 rows apart
  int last_key_;
  int first_[2 * kRowTiles];
};

}  // namespace ingot::cuda
