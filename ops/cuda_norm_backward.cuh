// The backward kernels of layernorm (kCentred) and rmsnorm. With g = dy gamma and u = (x - mean)
// rstd: dx = rstd (g - mean(g) - u mean(g u)), where mean(g) is only there when centred; dgamma =
// sum over rows of dy u, dbeta = sum over rows of dy.
//
// A block takes a chunk of rows and reads each once. Threads own columns, whose sums they keep in
// registers; a block writes the sums of its chunk to the workspace, where a second kernel adds them
// up in the order of the chunks. Nothing is added atomically.
#pragma once

#include "ops/cuda_norm.hpp"
#include "ops/cuda_reduce.cuh"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {

constexpr int kNormBackwardWarps = 8;
constexpr int kNormBackwardThreads = 512;
constexpr int kNormBackwardWideThreads = 512;

/// Where the column sums of a block stand in shared memory before they are written: threads that
/// own 8 columns put both halves of them into areas of their own, half a row of banks apart, so
/// that neither writing by owner nor reading by column meets a bank twice.
template <int N>
struct StagedColumns {
  static constexpr int kPart = N < 4 ? N : 4;  ///< columns written at once
  int area;                                    ///< vectors of 4 columns in one of two areas

  __host__ __device__ explicit StagedColumns(int columns) : area((columns / 8 + 7) / 8 * 8 + 4) {}
  __host__ __device__ int floats(int columns) const { return N == 8 ? 8 * area : columns; }
  /// Of columns [v N + 4 part, ...).
  __device__ int owner(int v, int part) const { return N == 8 ? (part * area + v) * 4 : v * N; }
  /// Of columns [4 j, 4 j + 4), or of column j where N is 1.
  __device__ int column(int j) const { return N == 8 ? ((j % 2) * area + j / 2) * 4 : j * kPart; }
};

/// Writes the block's sums of each column to to[columns].
template <bool kWarp, int N, int K>
__device__ inline void write_column_sums(const float (&sums)[K][N], float* staged, float* to,
                                         int columns, int thread, int team_size) {
  const StagedColumns<N> place(columns);
  constexpr int kPart = StagedColumns<N>::kPart;
  const int vectors = columns / N;
  const auto put = [&](bool first) {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      if (v >= vectors) continue;
#pragma unroll
      for (int part = 0; part < N / kPart; ++part) {
        float* at = staged + place.owner(v, part);
        float values[kPart];
#pragma unroll
        for (int i = 0; i < kPart; ++i) values[i] = sums[k][part * kPart + i];
        if (!first) {
          float before[kPart];
          load_floats(at, before);
#pragma unroll
          for (int i = 0; i < kPart; ++i) values[i] += before[i];
        }
        store_floats_shared(at, values);
      }
    }
  };
  __syncthreads();  // the memory may still be read for the sums before
  if constexpr (kWarp) {
    // Warps of a block have rows of their own; they add theirs in turn.
    const int warps = static_cast<int>(blockDim.x) / 32;
    for (int warp = 0; warp < warps; ++warp) {
      if (static_cast<int>(threadIdx.x) / 32 == warp) put(warp == 0);
      __syncthreads();
    }
  } else {
    put(true);
    __syncthreads();
  }
  for (int j = static_cast<int>(threadIdx.x); j < columns / kPart;
       j += static_cast<int>(blockDim.x)) {
    float values[kPart];
    load_floats(staged + place.column(j), values);
    store_floats(to + j * kPart, values);
  }
}

/// Two blocks on a multiprocessor: each has many rows in flight.
template <bool kCentred, bool kWarp, int N, int K, typename T>
__global__ void __launch_bounds__(kWarp ? 32 * kNormBackwardWarps : kNormBackwardThreads,
                                  kWarp ? 2 : 1)
    norm_backward_kernel(const NormBackward<T> norm, std::int64_t chunk_rows) {
  using Vector = Packed<T, N>;
  constexpr int kSums = kCentred ? 2 : 1;
  extern __shared__ float4 staged_memory[];
  auto* staged = reinterpret_cast<float*>(staged_memory);
  __shared__ uint4 parameter_memory[kWarp ? 32 * K * N * sizeof(T) / 16 : 1];
  __shared__ float scratch[kWarp ? 1 : BlockReduction<float, kSums>::kSharedValues];
  const int thread = static_cast<int>(kWarp ? threadIdx.x % 32 : threadIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int team_size = static_cast<int>(kWarp ? 32 : blockDim.x);
  const int vectors = norm.columns / N;

  auto* parameters = reinterpret_cast<T*>(parameter_memory);
  Vector gamma[kWarp ? 1 : K];
  if constexpr (kWarp) {
    for (int v = static_cast<int>(threadIdx.x); v < vectors; v += 32 * kNormBackwardWarps) {
      Vector::load(norm.gamma + v * N).store_shared(parameters + v * N);
    }
    __syncthreads();
  } else {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      gamma[k] = v < vectors ? Vector::load(norm.gamma + v * N) : Vector::zero();
    }
  }
  const auto load_gamma = [&](int k, float(&to)[N]) {
    if constexpr (kWarp) {
      load_floats(parameters + (thread + k * 32) * N, to);
    } else {
      gamma[k].unpack(to);
    }
  };

  float dgamma[K][N] = {};
  float dbeta[K][N] = {};
  BlockReduction<float, kSums> block(scratch);
  const float scale = 1.0F / static_cast<float>(norm.columns);
  const std::int64_t begin = blockIdx.x * chunk_rows;
  const std::int64_t end = min(begin + chunk_rows, norm.rows);
  constexpr int kStep = kWarp ? kNormBackwardWarps : 1;
  for (std::int64_t row = begin + (kWarp ? threadIdx.x / 32 : 0); row < end; row += kStep) {
    const std::int64_t at = row * norm.columns;
    Vector dy[K];
    Vector x[K];
    Vector residual[K];
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      // Lanes beyond the row hold a gradient of zero, which adds nothing.
      const bool inside = v < vectors;
      dy[k] = inside ? Vector::load(norm.dy + at + v * N) : Vector::zero();
      x[k] = inside ? Vector::load(norm.x + at + v * N) : Vector::zero();
    }
    if (norm.residual != nullptr) {
#pragma unroll
      for (int k = 0; k < K; ++k) {
        const int v = thread + k * team_size;
        residual[k] = v < vectors ? Vector::load(norm.residual + at + v * N) : Vector::zero();
      }
    }
    float mean = kCentred && lane == 0 ? norm.mean[row] : 0.0F;
    float rstd = lane == 0 ? norm.rstd[row] : 0.0F;
    if constexpr (kCentred) mean = __shfl_sync(kWholeWarp, mean, 0);
    rstd = __shfl_sync(kWholeWarp, rstd, 0);

    float sums[kSums] = {};  // of g u and, where centred, of g
#pragma unroll
    for (int k = 0; k < K; ++k) {
      if (thread + k * team_size >= vectors) continue;
      float gradient[N];
      float value[N];
      float factor[N];
      dy[k].unpack(gradient);
      x[k].unpack(value);
      load_gamma(k, factor);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const float u = (value[i] - mean) * rstd;
        const float g = gradient[i] * factor[i];
        sums[0] = fmaf(g, u, sums[0]);
        if constexpr (kCentred) sums[1] += g;
        dgamma[k][i] = fmaf(gradient[i], u, dgamma[k][i]);
        dbeta[k][i] += gradient[i];
      }
    }
    if constexpr (kWarp) {
#pragma unroll
      for (float& sum : sums) sum = reduce_warp<Sum>(sum);
    } else {
      block.template reduce<Sum>(sums);
    }
    const float mean_gu = sums[0] * scale;
    const float mean_g = kCentred ? sums[kSums - 1] * scale : 0.0F;

#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      if (v >= vectors) continue;
      float gradient[N];
      float value[N];
      float factor[N];
      dy[k].unpack(gradient);
      x[k].unpack(value);
      load_gamma(k, factor);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const float u = (value[i] - mean) * rstd;
        gradient[i] = fmaf(-u, mean_gu, fmaf(gradient[i], factor[i], -mean_g)) * rstd;
      }
      T* dx = norm.dx + at + v * N;
      if ((norm.accumulate & 1U) != 0) {
        load_floats(dx, value);
#pragma unroll
        for (int i = 0; i < N; ++i) gradient[i] += value[i];
      }
      if (norm.residual != nullptr) {
        residual[k].unpack(value);
#pragma unroll
        for (int i = 0; i < N; ++i) gradient[i] += value[i];
      }
      store_floats(dx, gradient);
    }
  }

  float* partials =
      norm.partials + std::int64_t{blockIdx.x} * (norm.dbeta == nullptr ? 1 : 2) * norm.columns;
  write_column_sums<kWarp>(dgamma, staged, partials, norm.columns, thread, team_size);
  if (norm.dbeta == nullptr) return;
  write_column_sums<kWarp>(dbeta, staged, partials + norm.columns, norm.columns, thread, team_size);
}

/// Rows of any length: read twice, and the column sums kept in the workspace.
template <bool kCentred, typename T>
__global__ void __launch_bounds__(kNormBackwardWideThreads)
    norm_backward_wide_kernel(const NormBackward<T> norm, std::int64_t chunk_rows) {
  constexpr int kThreads = kNormBackwardWideThreads;
  __shared__ float scratch[BlockReduction<float, 2>::kSharedValues];
  BlockReduction<float, 2> block(scratch);
  const int thread = static_cast<int>(threadIdx.x);
  const float scale = 1.0F / static_cast<float>(norm.columns);
  float* dgamma =
      norm.partials + std::int64_t{blockIdx.x} * (norm.dbeta == nullptr ? 1 : 2) * norm.columns;
  float* dbeta = norm.dbeta == nullptr ? nullptr : dgamma + norm.columns;
  const std::int64_t begin = blockIdx.x * chunk_rows;
  const std::int64_t end = min(begin + chunk_rows, norm.rows);
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t at = row * norm.columns;
    const float mean = kCentred ? norm.mean[row] : 0.0F;
    const float rstd = norm.rstd[row];
    float sums[2] = {};
    for (int c = thread; c < norm.columns; c += kThreads) {
      const float gradient = load_float(norm.dy + at + c);
      const float u = (load_float(norm.x + at + c) - mean) * rstd;
      const float g = gradient * load_float(norm.gamma + c);
      sums[0] = fmaf(g, u, sums[0]);
      sums[1] += g;
      dgamma[c] = fmaf(gradient, u, row == begin ? 0.0F : dgamma[c]);
      if (dbeta != nullptr) dbeta[c] = gradient + (row == begin ? 0.0F : dbeta[c]);
    }
    block.template reduce<Sum>(sums);
    const float mean_gu = sums[0] * scale;
    const float mean_g = kCentred ? sums[1] * scale : 0.0F;
    for (int c = thread; c < norm.columns; c += kThreads) {
      const float g = load_float(norm.dy + at + c) * load_float(norm.gamma + c);
      const float u = (load_float(norm.x + at + c) - mean) * rstd;
      float gradient = fmaf(-u, mean_gu, g - mean_g) * rstd;
      if ((norm.accumulate & 1U) != 0) gradient += load_float(norm.dx + at + c);
      if (norm.residual != nullptr) gradient += load_float(norm.residual + at + c);
      store_float(norm.dx + at + c, gradient);
    }
  }
}

constexpr int kColumnSumRows = 16;

/// to[c] = (accumulate: to[c] +) the sum over chunks of partials[chunk * stride + c]. Block (32,
/// kColumnSumRows), 32 columns each: a warp adds every kColumnSumRows-th chunk, then the first warp
/// what the warps have. Grid y: dgamma, dbeta. Templated only to be in several files.
template <typename T>
__global__ void __launch_bounds__(32 * kColumnSumRows)
    norm_column_sums_kernel(const NormBackward<T> norm, std::int64_t chunks) {
  __shared__ float sums[kColumnSumRows][32];
  const std::int64_t column = std::int64_t{blockIdx.x} * 32 + threadIdx.x;
  const std::int64_t stride = std::int64_t{gridDim.y} * norm.columns;
  const float* from = norm.partials + std::int64_t{blockIdx.y} * norm.columns + column;
  float sum = 0;
  if (column < norm.columns) {
#pragma unroll 4
    for (std::int64_t chunk = threadIdx.y; chunk < chunks; chunk += kColumnSumRows) {
      sum += from[chunk * stride];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= norm.columns) return;
  sum = 0;
#pragma unroll
  for (int warp = 0; warp < kColumnSumRows; ++warp) sum += sums[warp][threadIdx.x];
  float* to = (blockIdx.y == 0 ? norm.dgamma : norm.dbeta) + column;
  const bool adds = ((norm.accumulate >> (1 + blockIdx.y)) & 1U) != 0;
  *to = adds ? *to + sum : sum;
}

template <bool kCentred, bool kWarp, int N, int K, typename T>
void launch_norm_backward_as(const CudaLaunch& launch, const NormBackward<T>& norm) {
  const std::int64_t chunk_rows = norm_chunk_rows(norm.rows);
  const auto chunks = static_cast<unsigned>(pieces_of(norm.rows, chunk_rows));
  const int threads = kWarp ? 32 * kNormBackwardWarps
                            : (static_cast<int>(pieces_of(norm.columns / N, K)) + 31) / 32 * 32;
  const int shared = StagedColumns<N>(norm.columns).floats(norm.columns) * 4;
  norm_backward_kernel<kCentred, kWarp, N, K>
      <<<chunks, threads, static_cast<std::size_t>(shared), launch.stream>>>(norm, chunk_rows);
}

template <bool kCentred, typename T>
void launch_norm_backward(const CudaLaunch& launch, const NormBackward<T>& norm) {
  constexpr int N = kVector<T>;
  const bool whole = norm.columns % N == 0 && aligned(16, norm.dy, norm.x, norm.gamma,
                                                      norm.residual, norm.dx, norm.partials);
  const int vectors = whole ? norm.columns / N : norm.columns;
  const std::int64_t chunk_rows = norm_chunk_rows(norm.rows);
  const std::int64_t chunks = pieces_of(norm.rows, chunk_rows);
  // Shared memory for the sums of 8192 columns is what a block has without asking for more.
  const int most_vectors = std::min(4 * kNormBackwardThreads, whole ? 8192 / N : 8192);
  if (norm.rows == 0) {
    // Only the sums over no rows are left to be written.
  } else if (vectors > most_vectors) {
    norm_backward_wide_kernel<kCentred>
        <<<static_cast<unsigned>(chunks), kNormBackwardWideThreads, 0, launch.stream>>>(norm,
                                                                                        chunk_rows);
  } else if (!whole) {
    if (vectors <= 3 * 32) {
      launch_norm_backward_as<kCentred, true, 1, 3>(launch, norm);
    } else {
      launch_norm_backward_as<kCentred, false, 1, 4>(launch, norm);
    }
  } else if (vectors <= 32) {
    launch_norm_backward_as<kCentred, true, N, 1>(launch, norm);
  } else if (vectors <= 2 * 32) {
    launch_norm_backward_as<kCentred, true, N, 2>(launch, norm);
  } else if (vectors <= 3 * 32) {
    launch_norm_backward_as<kCentred, true, N, 3>(launch, norm);
  } else if (vectors <= kNormBackwardThreads) {
    launch_norm_backward_as<kCentred, false, N, 1>(launch, norm);
  } else if (vectors <= 2 * kNormBackwardThreads) {
    launch_norm_backward_as<kCentred, false, N, 2>(launch, norm);
  } else {
    // Four vectors of eight columns would not fit the registers; most_vectors keeps them out.
    if constexpr (N == 4) launch_norm_backward_as<kCentred, false, N, 4>(launch, norm);
  }
  const dim3 grid(static_cast<unsigned>(pieces_of(norm.columns, 32)),
                  norm.dbeta == nullptr ? 1U : 2U);
  norm_column_sums_kernel<<<grid, dim3(32, kColumnSumRows), 0, launch.stream>>>(norm, chunks);
}

}  // namespace ingot::cuda
