// The parallel part of layernorm_backward and rmsnorm_backward. Sums over rows (dgamma, dbeta) are
// taken by fixed chunks of rows, each into partial sums of its own in the workspace; these are then
// added in the order of the chunks, so that threads do not change a bit.
#pragma once

#include <algorithm>

#include "ops/cpu_kernel.hpp"

namespace ingot::cpu {

/// Rows of one chunk: at most 64 chunks, which bounds the workspace, of at least 16 rows.
inline std::int64_t norm_chunk_rows(std::int64_t rows) {
  return std::max<std::int64_t>(16, (rows + 63) / 64);
}

/// Workspace for `sums` column sums (dgamma, dbeta).
inline std::int64_t norm_partial_bytes(std::int64_t rows, std::int64_t columns, int sums) {
  const std::int64_t chunk_rows = norm_chunk_rows(rows);
  const std::int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  return chunks * sums * columns * static_cast<std::int64_t>(sizeof(float));
}

/// Calls rows(partials, begin, end) for every chunk, with its partial sums float[sums, columns];
/// then sum(partials, chunks, stride, begin, end, s) for each sum s and range of columns.
template <typename Rows, typename Sum>
void run_norm_backward(ThreadPool& pool, std::span<std::byte> workspace, std::int64_t rows,
                       std::int64_t columns, int sums, Rows on_rows, Sum on_columns) {
  auto* partials = reinterpret_cast<float*>(workspace.data());
  const std::int64_t chunk_rows = norm_chunk_rows(rows);
  const std::int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  const std::int64_t stride = sums * columns;
  pool.parallel_for(rows, chunk_rows, [&](std::int64_t begin, std::int64_t end) {
    on_rows(partials + (begin / chunk_rows) * stride, begin, end);
  });
  pool.parallel_for(columns, 256, [&](std::int64_t begin, std::int64_t end) {
    for (int s = 0; s < sums; ++s)
      on_columns(partials + s * columns, chunks, stride, begin, end, s);
  });
}

}  // namespace ingot::cpu
