// The forward kernels of layernorm (kCentred) and rmsnorm, with the residual add before them.
//
// A row is read once and stays in registers: short rows are a warp's, longer ones a block's, K
// vectors a thread. Variances are taken about the mean from the registers, as on the CPU. Rows too
// long for that are read again, from the caches as far as they hold them.
#pragma once

#include <type_traits>

#include "ops/cuda_norm.hpp"
#include "ops/cuda_reduce.cuh"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {

constexpr int kNormWarps = 8;           ///< rows at a time of a block whose warps have rows
constexpr int kNormThreads = 512;       ///< most threads of a block that has a row
constexpr int kNormParameterRows = 16;  ///< least rows for which a block reads gamma and beta
constexpr int kNormWideThreads = 512;

/// One term of the first sum of a row: x, or x^2 where not centred.
template <bool kCentred>
__device__ inline float norm_term(float value, float sum) {
  return kCentred ? sum + value : fmaf(value, value, sum);
}

template <bool kCentred, bool kWarp, int N, int K, typename T>
__global__ void __launch_bounds__(kWarp ? 32 * kNormWarps : kNormThreads)
    norm_forward_kernel(const NormForward<T> norm) {
  using Vector = Packed<T, N>;
  // gamma and beta: warps of a block share theirs, the threads of a row keep their own.
  __shared__ uint4 parameter_memory[kWarp ? 2 * 32 * K * N * sizeof(T) / 16 : 1];
  auto* parameters = reinterpret_cast<T*>(parameter_memory);
  __shared__ float scratch[kWarp ? 1 : BlockReduction<float, 1>::kSharedValues];
  const int thread = static_cast<int>(kWarp ? threadIdx.x % 32 : threadIdx.x);
  const int team_size = static_cast<int>(kWarp ? 32 : blockDim.x);
  const int vectors = norm.columns / N;
  const std::int64_t teams = std::int64_t{gridDim.x} * (kWarp ? kNormWarps : 1);
  std::int64_t row = kWarp ? std::int64_t{blockIdx.x} * kNormWarps + threadIdx.x / 32 : blockIdx.x;

  Vector gamma[kWarp ? 1 : K];
  Vector beta[kWarp ? 1 : K];
  if constexpr (kWarp) {
    for (int v = static_cast<int>(threadIdx.x); v < vectors; v += 32 * kNormWarps) {
      Vector::load(norm.gamma + v * N).store_shared(parameters + v * N);
      const Vector own = norm.beta == nullptr ? Vector::zero() : Vector::load(norm.beta + v * N);
      own.store_shared(parameters + (32 * K + v) * N);
    }
    __syncthreads();
  } else {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      gamma[k] = v < vectors ? Vector::load(norm.gamma + v * N) : Vector::zero();
      beta[k] =
          v < vectors && norm.beta != nullptr ? Vector::load(norm.beta + v * N) : Vector::zero();
    }
  }

  BlockReduction<float, 1> block(scratch);
  const auto total_of_row = [&](float own) {
    if constexpr (kWarp) {
      return reduce_warp<Sum>(own);
    } else {
      float values[1] = {own};
      block.template reduce<Sum>(values);
      return values[0];
    }
  };
  const auto load_row = [&](const T* from, std::int64_t at, Vector(&to)[K]) {
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      to[k] = v < vectors ? Vector::load(from + at * norm.columns + v * N) : Vector::zero();
    }
  };

  // The next row is on its way while this one is reduced, where registers are left for it.
  constexpr bool kAhead = kWarp || K < 4;
  Vector x[K];
  Vector other[K];
  if (row < norm.rows) {
    load_row(norm.x, row, x);
    if (norm.add != nullptr) load_row(norm.add, row, other);
  }
  const float scale = 1.0F / static_cast<float>(norm.columns);
  for (; row < norm.rows; row += teams) {
    float own = 0;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      float values[N];
      x[k].unpack(values);
      if (norm.add != nullptr) {
        float added[N];
        other[k].unpack(added);
#pragma unroll
        for (int i = 0; i < N; ++i) added[i] += values[i];
        // The sum is what later ops read, so it is normalised as it is stored.
        x[k] = Vector::of(added);
        x[k].unpack(values);
        if (v < vectors) x[k].store(norm.sum + row * norm.columns + v * N);
      }
      // Lanes beyond the row hold zeros, which add nothing.
#pragma unroll
      for (int i = 0; i < N; ++i) own = norm_term<kCentred>(values[i], own);
    }
    Vector next[K];
    const bool more = row + teams < norm.rows;
    if (kAhead && more) {
      load_row(norm.x, row + teams, next);
      if (norm.add != nullptr) load_row(norm.add, row + teams, other);
    }
    float mean = 0;
    float total = total_of_row(own);
    if constexpr (kCentred) {
      mean = total * scale;
      own = 0;
#pragma unroll
      for (int k = 0; k < K; ++k) {
        if (thread + k * team_size >= vectors) continue;
        float values[N];
        x[k].unpack(values);
#pragma unroll
        for (int i = 0; i < N; ++i) own = fmaf(values[i] - mean, values[i] - mean, own);
      }
      total = total_of_row(own);
    }
    const float rstd = 1.0F / sqrtf(total * scale + norm.epsilon);
    if (thread == 0) {
      if constexpr (kCentred) norm.mean[row] = mean;
      norm.rstd[row] = rstd;
    }
#pragma unroll
    for (int k = 0; k < K; ++k) {
      const int v = thread + k * team_size;
      if (v >= vectors) continue;
      float values[N];
      float factor[N];
      float shift[N];
      x[k].unpack(values);
      if constexpr (kWarp) {
        load_floats(parameters + v * N, factor);
        load_floats(parameters + (32 * K + v) * N, shift);
      } else {
        gamma[k].unpack(factor);
        beta[k].unpack(shift);
      }
#pragma unroll
      for (int i = 0; i < N; ++i) {
        values[i] = fmaf((values[i] - mean) * rstd, factor[i], shift[i]);
      }
      store_floats(norm.y + row * norm.columns + v * N, values);
    }
    if (!more) break;
    if constexpr (kAhead) {
#pragma unroll
      for (int k = 0; k < K; ++k) x[k] = next[k];
    } else {
      load_row(norm.x, row + teams, x);
      if (norm.add != nullptr) load_row(norm.add, row + teams, other);
    }
  }
}

/// Rows of any length, read up to three times.
template <bool kCentred, typename T>
__global__ void __launch_bounds__(kNormWideThreads)
    norm_forward_wide_kernel(const NormForward<T> norm) {
  __shared__ float scratch[BlockReduction<float, 1>::kSharedValues];
  BlockReduction<float, 1> block(scratch);
  const int thread = static_cast<int>(threadIdx.x);
  const float scale = 1.0F / static_cast<float>(norm.columns);
  for (std::int64_t row = blockIdx.x; row < norm.rows; row += gridDim.x) {
    const T* x = norm.x + row * norm.columns;
    float total[1] = {0};
    if (norm.add != nullptr) {
      const T* add = norm.add + row * norm.columns;
      T* sum = norm.sum + row * norm.columns;
      for (int c = thread; c < norm.columns; c += kNormWideThreads) {
        store_float(sum + c, load_float(x + c) + load_float(add + c));
        total[0] = norm_term<kCentred>(load_float(sum + c), total[0]);
      }
      x = sum;
    } else {
      for (int c = thread; c < norm.columns; c += kNormWideThreads) {
        total[0] = norm_term<kCentred>(load_float(x + c), total[0]);
      }
    }
    block.template reduce<Sum>(total);
    float mean = 0;
    if constexpr (kCentred) {
      mean = total[0] * scale;
      total[0] = 0;
      for (int c = thread; c < norm.columns; c += kNormWideThreads) {
        const float distance = load_float(x + c) - mean;
        total[0] = fmaf(distance, distance, total[0]);
      }
      block.template reduce<Sum>(total);
    }
    const float rstd = 1.0F / sqrtf(total[0] * scale + norm.epsilon);
    if (thread == 0) {
      if constexpr (kCentred) norm.mean[row] = mean;
      norm.rstd[row] = rstd;
    }
    T* y = norm.y + row * norm.columns;
    for (int c = thread; c < norm.columns; c += kNormWideThreads) {
      const float shift = norm.beta == nullptr ? 0.0F : load_float(norm.beta + c);
      const float unit = (load_float(x + c) - mean) * rstd;
      store_float(y + c, fmaf(unit, load_float(norm.gamma + c), shift));
    }
  }
}

template <bool kCentred, bool kWarp, int N, int K, typename T>
void launch_norm_forward_as(const CudaLaunch& launch, const NormForward<T>& norm) {
  if constexpr (kWarp) {
    const std::int64_t blocks = pieces_of(norm.rows, 2 * kNormParameterRows);
    const std::int64_t least =
        std::min(pieces_of(norm.rows, kNormWarps), std::int64_t{2} * launch.multiprocessors);
    norm_forward_kernel<kCentred, true, N, K>
        <<<launch.blocks(std::max(blocks, least), 8), 32 * kNormWarps, 0, launch.stream>>>(norm);
  } else {
    const int threads = (static_cast<int>(pieces_of(norm.columns / N, K)) + 31) / 32 * 32;
    const std::int64_t blocks = pieces_of(norm.rows, kNormParameterRows);
    const std::int64_t least = std::min(norm.rows, std::int64_t{2} * launch.multiprocessors);
    norm_forward_kernel<kCentred, false, N, K>
        <<<launch.blocks(std::max(blocks, least), 2048 / threads), threads, 0, launch.stream>>>(
            norm);
  }
}

template <bool kCentred, typename T>
void launch_norm_forward(const CudaLaunch& launch, const NormForward<T>& norm) {
  if (norm.rows == 0) return;
  constexpr int N = kVector<T>;
  const bool whole = norm.columns % N == 0 &&
                     aligned(16, norm.x, norm.add, norm.gamma, norm.beta, norm.sum, norm.y);
  const int vectors = whole ? norm.columns / N : norm.columns;
  if (vectors > 4 * kNormThreads) {
    norm_forward_wide_kernel<kCentred>
        <<<launch.blocks(norm.rows, 2), kNormWideThreads, 0, launch.stream>>>(norm);
  } else if (!whole) {
    if (vectors <= 4 * 32) {
      launch_norm_forward_as<kCentred, true, 1, 4>(launch, norm);
    } else {
      launch_norm_forward_as<kCentred, false, 1, 4>(launch, norm);
    }
  } else if (vectors <= 32) {
    launch_norm_forward_as<kCentred, true, N, 1>(launch, norm);
  } else if (vectors <= 2 * 32) {
    launch_norm_forward_as<kCentred, true, N, 2>(launch, norm);
  } else if (vectors <= 3 * 32) {
    launch_norm_forward_as<kCentred, true, N, 3>(launch, norm);
  } else if (vectors <= 4 * 32) {
    launch_norm_forward_as<kCentred, true, N, 4>(launch, norm);
  } else if (vectors <= kNormThreads) {
    launch_norm_forward_as<kCentred, false, N, 1>(launch, norm);
  } else if (vectors <= 2 * kNormThreads) {
    launch_norm_forward_as<kCentred, false, N, 2>(launch, norm);
  } else {
    launch_norm_forward_as<kCentred, false, N, 4>(launch, norm);
  }
}

}  // namespace ingot::cuda
