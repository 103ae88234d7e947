// Which keys the rows of a block of queries see: the range of keys that the block has to look at,
// and the exact range of each row that a lane holds in fragments of mma.m16n8k16.
#pragma once

#include <cstdint>

#include "ops/attention/attention_kernels.hpp"

namespace ingot::cuda {

/// Position of query 0; a cache that is longer than its keys counts as full.
__device__ __forceinline__ int first_position(const AttentionMask& mask, int keys) {
  if (mask.offset == nullptr) return 0;
  const std::int64_t offset = *mask.offset;
  return offset < 0 ? 0 : offset < keys ? static_cast<int>(offset) : keys;
}

/// First key that query t sees, before the limit of its own position.
__device__ __forceinline__ int document_start(const AttentionMask& mask, int batch, int t,
                                              int queries) {
  if (mask.documents == nullptr || t >= queries) return 0;
  const int start = mask.documents[static_cast<std::int64_t>(batch) * queries + t];
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
  for (int t = query + static_cast<int>(threadIdx.x); t < past; t += kThreads) {
    first = min(first, document_start(mask, batch, t, queries));
  }
  first = __reduce_min_sync(0xffffffffU, first);
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
  for (int t = key + static_cast<int>(threadIdx.x); t < tokens; t += kThreads) {
    if (document_start(mask, batch, t, tokens) < key + count) end = t + 1;
  }
  end = __reduce_max_sync(0xffffffffU, end);
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
      first_[i] = document_start(mask, batch, query + 8 * i + (lane >> 2), queries);
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
    return __all_sync(0xffffffffU, none);
  }
  /// Whether every row of the warp sees all of the keys [key, key + count).
  __device__ bool warp_sees_all(int key, int count) const {
    bool all = true;
#pragma unroll
    for (int i = 0; i < 2 * kRowTiles; ++i) {
      all = all && first_[i] <= key && last(i) >= key + count - 1;
    }
    return __all_sync(0xffffffffU, all);
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
