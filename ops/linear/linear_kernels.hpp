// Kernels beside the matrix products of linear, for what a library version or a shape does not let
// it fuse: see linear_kernels.cu. Plain: both nvcc and the host compiler read this file.
#pragma once

#include <algorithm>

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// Rows that one block adds up. Only the shape decides, so sums do not depend on the GPU.
constexpr std::int64_t column_sum_chunk_rows(std::int64_t rows) {
  return std::max<std::int64_t>(64, pieces_of(rows, 256));
}
/// Workspace of column_sums: f32 [chunks, columns].
constexpr std::int64_t column_sum_bytes(std::int64_t rows, std::int64_t columns) {
  return pieces_of(rows, column_sum_chunk_rows(rows)) * columns * 4;
}

/// For float and Bf16.
template <typename T>
struct LinearKernels {
  /// to[c] = (accumulate: to[c] +) the sum over r of x[r, c].
  static void column_sums(const CudaLaunch& launch, const T* x, float* to, std::int64_t rows,
                          std::int64_t columns, bool accumulate, float* workspace);
  /// y[r, c] += bias[c].
  static void add_bias(const CudaLaunch& launch, const T* bias, T* y, std::int64_t rows,
                       std::int64_t columns);
};

}  // namespace ingot::cuda
