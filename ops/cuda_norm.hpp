// What the CUDA kernels of layernorm and rmsnorm are asked for. The two differ in that layernorm
// subtracts the mean; both instantiate cuda_norm_forward.cuh and cuda_norm_backward.cuh. Plain:
// both nvcc and the host compiler read this file.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

template <typename T>
struct NormForward {
  const T* x = nullptr;    ///< [rows, columns]
  const T* add = nullptr;  ///< [rows, columns] or nullptr: x + add is normalised and kept in `sum`
  const T* gamma = nullptr;  ///< [columns]
  const T* beta = nullptr;   ///< [columns] or nullptr
  T* sum = nullptr;          ///< [rows, columns], where there is `add`; may be x
  T* y = nullptr;            ///< [rows, columns]
  float* mean = nullptr;     ///< [rows], of layernorm
  float* rstd = nullptr;     ///< [rows], 1 / sqrt(variance or mean square + epsilon)
  std::int64_t rows = 0;
  int columns = 0;
  float epsilon = 0;
};

template <typename T>
struct NormBackward {
  const T* dy = nullptr;        ///< [rows, columns]
  const T* x = nullptr;         ///< [rows, columns], what was normalised
  const float* mean = nullptr;  ///< [rows], of layernorm
  const float* rstd = nullptr;  ///< [rows]
  const T* gamma = nullptr;     ///< [columns]
  const T* residual = nullptr;  ///< [rows, columns] or nullptr: added to dx; may be dx
  T* dx = nullptr;              ///< [rows, columns]
  float* dgamma = nullptr;      ///< [columns]
  float* dbeta = nullptr;       ///< [columns] or nullptr
  float* partials = nullptr;    ///< workspace, norm_partial_bytes()
  std::int64_t rows = 0;
  int columns = 0;
  std::uint32_t accumulate = 0;  ///< bits 0, 1, 2: add to dx, dgamma, dbeta
};

/// Rows whose sums over rows (dgamma, dbeta) one block takes. 32 keep what partial sums move below
/// a tenth of the rest; more where there are so many rows that 1024 blocks are enough. Only the
/// shape decides, so results do not depend on the GPU.
constexpr std::int64_t norm_chunk_rows(std::int64_t rows) {
  return std::max<std::int64_t>(32, pieces_of(rows, 1024));
}

/// Workspace for partial sums: f32 [chunks, sums, columns], with sums 2 where there is a dbeta.
constexpr std::int64_t norm_partial_bytes(std::int64_t rows, std::int64_t columns, int sums) {
  return pieces_of(rows, norm_chunk_rows(rows)) * sums * columns * 4;
}

}  // namespace ingot::cuda
