// The uses of attention whose kernels are counted, with the global bytes that they need at least.
// Op::cost states what no algorithm can do without; flash attention in tiles reads keys again for
// every tile of queries, and its backward, cut into two passes for determinism, queries again for
// every tile of keys. The tiles are those of ops/attention/attention_*_kernels.cu.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ops/step_scalars.hpp"
#include "tests/ops/host_tensor.hpp"

namespace ingot::test {

struct AttentionUse {
  DType dtype = DType::kBf16;
  std::int64_t batch = 1;
  std::int64_t tokens = 512;
  std::int64_t heads = 4;
  std::int64_t kv_heads = 2;
  std::int64_t head_size = 64;
  bool documents = false;

  std::int64_t row_bytes() const { return head_size * size_of(dtype); }
  Shape packed() const { return {batch, tokens, (heads + 2 * kv_heads) * head_size}; }
  Shape out() const { return {batch, tokens, heads * head_size}; }
};

/// Global bytes that a use reads and writes at least.
struct LeastBytes {
  std::int64_t read = 0;
  std::int64_t written = 0;
};

inline std::int64_t document_length() {
  return 160;
}
inline HostTensor documents_of(const AttentionUse& use) {
  std::vector<double> starts;
  for (std::int64_t i = 0; i < use.batch * use.tokens; ++i) {
    const std::int64_t t = i % use.tokens;
    starts.push_back(static_cast<double>(t / document_length() * document_length()));
  }
  return HostTensor({DType::kI32, Shape{use.batch, use.tokens}}, starts);
}

/// Rows that tiles of `own` rows walk over, in whole tiles of `walked`: keys where `of_keys`, else
/// queries. Summed over the tiles of one head.
inline std::int64_t walked_rows(const AttentionUse& use, std::int64_t own, std::int64_t walked,
                                bool of_keys) {
  const auto start = [&](std::int64_t t) {
    return use.documents ? t / document_length() * document_length() : 0;
  };
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < use.tokens; first += own) {
    const std::int64_t end = std::min(first + own, use.tokens);
    if (of_keys) {
      sum += end - start(first) / walked * walked;
    } else {
      std::int64_t last = end;
      while (last < use.tokens && start(last) < end) ++last;
      const std::int64_t past = (last + walked - 1) / walked * walked;
      sum += std::min(past, use.tokens) - first / walked * walked;
    }
  }
  return sum;
}

struct AttentionTiles {
  std::int64_t own;
  std::int64_t walked;
};
inline AttentionTiles forward_tiles(const AttentionUse& use) {
  const bool small = use.head_size <= 64;
  if (use.dtype == DType::kBf16) return {128, small ? 64 : 32};
  return {64, small ? 64 : 32};
}
inline AttentionTiles key_gradient_tiles(const AttentionUse& use) {
  const bool small = use.head_size <= 64;
  if (use.dtype == DType::kBf16) return {128, small ? 64 : 32};
  return small ? AttentionTiles{64, 64} : AttentionTiles{32, 32};
}

inline LeastBytes least_of_forward(const AttentionUse& use) {
  const std::int64_t lines = use.batch * use.heads;
  const auto [own, walked] = forward_tiles(use);
  const std::int64_t rows = use.tokens + 2 * walked_rows(use, own, walked, true);
  return {lines * (rows * use.row_bytes() + (use.documents ? 4 * use.tokens : 0)),
          lines * use.tokens * (use.row_bytes() + 4)};
}

inline LeastBytes least_of_backward(const AttentionUse& use) {
  const std::int64_t lines = use.batch * use.heads;
  const std::int64_t groups = use.batch * use.kv_heads;
  const std::int64_t row = use.row_bytes();
  const std::int64_t per_query = use.documents ? 12 : 8;  // statistics and document
  const auto key_tiles = key_gradient_tiles(use);
  const auto query_tiles = forward_tiles(use);
  LeastBytes least;
  // delta
  least.read += lines * use.tokens * 2 * row;
  least.written += lines * use.tokens * 4;
  // dK, dV
  least.read +=
      groups * use.tokens * 2 * row +
      lines * walked_rows(use, key_tiles.own, key_tiles.walked, false) * (2 * row + per_query);
  least.written += groups * use.tokens * 2 * row;
  // dQ
  least.read += lines * (use.tokens * (2 * row + per_query) +
                         2 * row * walked_rows(use, query_tiles.own, query_tiles.walked, true));
  least.written += lines * use.tokens * row;
  return least;
}

/// One new position after `tokens` - 1 in a cache of `tokens`: the cache is read once.
inline LeastBytes least_of_decoding(const AttentionUse& use) {
  constexpr std::int64_t kSplit = 256;
  const std::int64_t row = use.row_bytes();
  const std::int64_t lines = use.batch * use.heads;
  const std::int64_t groups = use.batch * use.kv_heads;
  const std::int64_t splits = (use.tokens + kSplit - 1) / kSplit;
  const std::int64_t partial = lines * splits * (use.head_size + 2) * 4;
  return {groups * (use.tokens + 1) * 2 * row + lines * splits * row + partial,
          groups * 2 * row + partial + lines * row};
}

}  // namespace ingot::test
