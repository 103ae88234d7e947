// What one thread computes of attention: one head forward, one group of heads backward, one head
// over the cache. Compiled for each instruction set and chosen at run time. The method is
// FlashAttention's (Dao et al., 2022): blocks of scores are computed, turned into probabilities
// with a running maximum and sum, and used at once; backward computes them again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/tensor.hpp"

namespace ingot::cpu {

/// Rows of a register tile.
constexpr std::int64_t kTileRows = 6;
/// Queries and keys per block of scores. Both are multiples of kTileRows and
/// of the widest panel (32 columns); 96 keys of 64 elements stay in the first two cache levels.
constexpr std::int64_t kQueryBlock = 96;
constexpr std::int64_t kKeyBlock = 96;

struct AttentionShape {
  std::int64_t batch = 0;
  std::int64_t tokens = 0;
  std::int64_t heads = 0;     ///< of queries, H
  std::int64_t kv_heads = 0;  ///< of keys and of values, G
  std::int64_t head_size = 0;
  std::int64_t layer = 0;
  float dropout = 0;
  DType dtype = DType::kF32;

  std::int64_t width() const { return (heads + 2 * kv_heads) * head_size; }
  std::int64_t out_width() const { return heads * head_size; }
  std::int64_t heads_per_group() const { return heads / kv_heads; }
  /// Row length of f32 copies of a head.
  std::int64_t row() const { return (head_size + 31) / 32 * 32; }
  /// Tokens rounded up to whole blocks.
  std::int64_t padded_tokens() const { return (tokens + kKeyBlock - 1) / kKeyBlock * kKeyBlock; }
};

struct AttentionArguments {
  const void* qkv = nullptr;
  const std::int32_t* documents = nullptr;  ///< [B, T] or absent
  const std::int64_t* samples = nullptr;    ///< [B]; used with dropout
  std::uint64_t seed = 0;                   ///< used with dropout
  void* out = nullptr;                      ///< [B, T, H * D]; read by backward
  float* log_sum_exp = nullptr;             ///< [B, H, T]; read by backward
  const void* out_gradient = nullptr;       ///< backward only
  void* qkv_gradient = nullptr;             ///< backward only
};

/// The f32 workspace of attention_head, carved out of one piece of memory.
struct ForwardScratch {
  ForwardScratch(const AttentionShape& shape, float* memory) {
    keys = take(memory, shape.padded_tokens() * shape.head_size);
    values = take(memory, shape.padded_tokens() * shape.row());
    queries = take(memory, kQueryBlock * shape.row());
    sums = take(memory, kQueryBlock * shape.row());
    scores = take(memory, kTileRows * kKeyBlock);
    row_maximum = take(memory, kQueryBlock);
    row_sum = take(memory, kQueryBlock);
  }
  static std::int64_t floats(const AttentionShape& shape) {
    return ForwardScratch(shape, nullptr).total;
  }

  float* keys = nullptr;     ///< transposed panels
  float* values = nullptr;   ///< panels
  float* queries = nullptr;  ///< rows, scaled
  float* sums = nullptr;     ///< rows: probabilities times values so far
  float* scores = nullptr;   ///< of one register tile's rows
  float* row_maximum = nullptr;
  float* row_sum = nullptr;
  std::int64_t total = 0;

 private:
  float* take(float* memory, std::int64_t count) {
    const std::int64_t at = total;
    total += (count + 15) / 16 * 16;
    return memory == nullptr ? nullptr : memory + at;
  }
};

/// The f32 workspace of attention_group_backward.
struct BackwardScratch {
  BackwardScratch(const AttentionShape& shape, float* memory) {
    keys_transposed = take(memory, shape.padded_tokens() * shape.head_size);
    values_transposed = take(memory, shape.padded_tokens() * shape.head_size);
    keys = take(memory, shape.padded_tokens() * shape.row());
    keys_gradient = take(memory, shape.padded_tokens() * shape.row());
    values_gradient = take(memory, shape.padded_tokens() * shape.row());
    queries = take(memory, kQueryBlock * shape.row());
    out_gradient = take(memory, kQueryBlock * shape.row());
    query_panels = take(memory, kQueryBlock * shape.row());
    out_gradient_panels = take(memory, kQueryBlock * shape.row());
    queries_gradient = take(memory, kQueryBlock * shape.row());
    scores = take(memory, kQueryBlock * kKeyBlock);
    scores_gradient = take(memory, kQueryBlock * kKeyBlock);
    row_delta = take(memory, kQueryBlock);
    row_log_sum_exp = take(memory, kQueryBlock);
  }
  static std::int64_t floats(const AttentionShape& shape) {
    return BackwardScratch(shape, nullptr).total;
  }

  float* keys_transposed = nullptr;    ///< transposed panels
  float* values_transposed = nullptr;  ///< transposed panels
  float* keys = nullptr;               ///< panels
  float* keys_gradient = nullptr;      ///< rows
  float* values_gradient = nullptr;    ///< rows
  float* queries = nullptr;            ///< rows of a query block, scaled
  float* out_gradient = nullptr;       ///< rows of a query block
  float* query_panels = nullptr;
  float* out_gradient_panels = nullptr;
  float* queries_gradient = nullptr;  ///< rows
  float* scores = nullptr;            ///< then probabilities
  float* scores_gradient = nullptr;
  float* row_delta = nullptr;
  float* row_log_sum_exp = nullptr;
  std::int64_t total = 0;

 private:
  float* take(float* memory, std::int64_t count) {
    const std::int64_t at = total;
    total += (count + 15) / 16 * 16;
    return memory == nullptr ? nullptr : memory + at;
  }
};

/// out and log_sum_exp of one batch and query head. `memory`: ForwardScratch::floats() floats.
void attention_head(const AttentionShape& shape, const AttentionArguments& arguments,
                    std::int64_t batch, std::int64_t head, float* memory);

/// Gradients of one key/value head and of its query heads. `memory`: BackwardScratch::floats().
void attention_group_backward(const AttentionShape& shape, const AttentionArguments& arguments,
                              std::int64_t batch, std::int64_t group, float* memory);

/// Attention of one query head over `keys` and `values`, the cache's rows of its group, each
/// `cache_stride` elements apart. Query i of `queries` sees the first min(visible + i, capacity)
/// rows. `scores`: room for `capacity` floats.
struct CachedHead {
  const void* queries = nullptr;  ///< first query's elements of this head
  std::int64_t query_stride = 0;
  const void* keys = nullptr;
  const void* values = nullptr;
  std::int64_t cache_stride = 0;
  void* out = nullptr;
  std::int64_t out_stride = 0;
  std::int64_t count = 0;     ///< queries
  std::int64_t visible = 0;   ///< rows that query 0 sees
  std::int64_t capacity = 0;  ///< rows of the cache
  std::int64_t head_size = 0;
  float* scores = nullptr;
};
void attention_cached_head(DType dtype, const CachedHead& head);

}  // namespace ingot::cpu
