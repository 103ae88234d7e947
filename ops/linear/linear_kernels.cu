// Column sums for the gradient of a bias, in two steps: blocks add chunks of rows and keep the sums
// in the workspace, then a second kernel adds those in the order of the chunks. Nothing is added
// atomically. And a bias added to a product that was made without one.
#include "ops/cuda_divisor.cuh"
#include "ops/cuda_map.cuh"
#include "ops/linear/linear_kernels.hpp"

namespace ingot::cuda {
namespace {

constexpr int kRowsAtOnce = 8;
constexpr int kFinishRows = 16;

/// Block (32, kRowsAtOnce), which takes 32 N columns of one chunk.
template <int N, typename T>
__global__ void __launch_bounds__(32 * kRowsAtOnce)
    column_partials_kernel(const T* x, float* partials, std::int64_t rows, std::int64_t columns,
                           std::int64_t chunk_rows) {
  // Sums of one element of all vectors lie side by side; the distance to the next element lets
  // writers by vector and readers by column meet no bank twice.
  constexpr int kDistance = 32 + (N > 1 ? 32 / N : 0);
  __shared__ float sums[kRowsAtOnce][N * kDistance];
  const std::int64_t first = std::int64_t{blockIdx.x} * 32 * N;
  const std::int64_t column = first + threadIdx.x * N;
  const std::int64_t begin = blockIdx.y * chunk_rows;
  const std::int64_t end = min(begin + chunk_rows, rows);
  float sum[N] = {};
  if (column < columns) {
#pragma unroll 4
    for (std::int64_t row = begin + threadIdx.y; row < end; row += kRowsAtOnce) {
      float values[N];
      load_floats(x + row * columns + column, values);
#pragma unroll
      for (int i = 0; i < N; ++i) sum[i] += values[i];
    }
  }
#pragma unroll
  for (int i = 0; i < N; ++i) sums[threadIdx.y][i * kDistance + threadIdx.x] = sum[i];
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.y * 32 + threadIdx.x); c < 32 * N;
       c += 32 * kRowsAtOnce) {
    if (first + c >= columns) continue;
    float total = 0;
#pragma unroll
    for (int y = 0; y < kRowsAtOnce; ++y) total += sums[y][c % N * kDistance + c / N];
    partials[blockIdx.y * columns + first + c] = total;
  }
}

/// Block (32, kFinishRows): a warp adds every kFinishRows-th chunk of 32 columns, then the first
/// warp what the warps have.
__global__ void __launch_bounds__(32 * kFinishRows)
    column_sums_kernel(const float* partials, float* to, std::int64_t columns, int chunks,
                       bool accumulate) {
  __shared__ float sums[kFinishRows][32];
  const std::int64_t column = std::int64_t{blockIdx.x} * 32 + threadIdx.x;
  float sum = 0;
  if (column < columns) {
    for (int chunk = static_cast<int>(threadIdx.y); chunk < chunks; chunk += kFinishRows) {
      sum += partials[chunk * columns + column];
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || column >= columns) return;
  sum = 0;
#pragma unroll
  for (int warp = 0; warp < kFinishRows; ++warp) sum += sums[warp][threadIdx.x];
  to[column] = accumulate ? to[column] + sum : sum;
}

/// Vectors of N elements, `row_vectors` of them in a row.
template <int N, typename T>
__global__ void __launch_bounds__(kMapThreads)
    add_bias_kernel(const T* bias, T* y, std::int64_t vectors, Divisor row_vectors) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t v = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; v < vectors;
       v += threads) {
    const auto row = row_vectors.divide(static_cast<std::uint32_t>(v));
    const std::int64_t column = (v - std::int64_t{row} * row_vectors.value()) * N;
    float values[N];
    float added[N];
    load_floats(y + v * N, values);
    load_floats(bias + column, added);
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] += added[i];
    store_floats(y + v * N, values);
  }
}

template <int N, typename T>
void launch_partials(const CudaLaunch& launch, const T* x, float* partials, std::int64_t rows,
                     std::int64_t columns) {
  const std::int64_t chunk_rows = column_sum_chunk_rows(rows);
  const dim3 blocks(static_cast<unsigned>(pieces_of(columns, 32 * N)),
                    static_cast<unsigned>(pieces_of(rows, chunk_rows)));
  column_partials_kernel<N>
      <<<blocks, dim3(32, kRowsAtOnce), 0, launch.stream>>>(x, partials, rows, columns, chunk_rows);
}

}  // namespace

template <typename T>
void LinearKernels<T>::column_sums(const CudaLaunch& launch, const T* x, float* to,
                                   std::int64_t rows, std::int64_t columns, bool accumulate,
                                   float* workspace) {
  if (columns == 0) return;
  constexpr int N = kVector<T>;
  if (rows == 0) {
    // Only the sums over no rows are left to be written.
  } else if (columns % N == 0 && aligned(16, x)) {
    launch_partials<N>(launch, x, workspace, rows, columns);
  } else {
    launch_partials<1>(launch, x, workspace, rows, columns);
  }
  const auto chunks = static_cast<int>(pieces_of(rows, column_sum_chunk_rows(rows)));
  column_sums_kernel<<<static_cast<unsigned>(pieces_of(columns, 32)), dim3(32, kFinishRows), 0,
                       launch.stream>>>(workspace, to, columns, chunks, accumulate);
}

template <typename T>
void LinearKernels<T>::add_bias(const CudaLaunch& launch, const T* bias, T* y, std::int64_t rows,
                                std::int64_t columns) {
  if (rows * columns == 0) return;
  const auto run = [&]<int N>(Count<N>) {
    const std::int64_t vectors = rows * columns / N;
    const unsigned blocks = launch.blocks(pieces_of(vectors, kMapThreads), kMapBlocks);
    add_bias_kernel<N><<<blocks, kMapThreads, 0, launch.stream>>>(
        bias, y, vectors, Divisor(static_cast<std::uint32_t>(columns / N)));
  };
  if (columns % kVector<T> == 0 && aligned(16, bias, y)) {
    run(Count<kVector<T>>{});
  } else {
    run(Count<1>{});
  }
}

template struct LinearKernels<float>;
template struct LinearKernels<Bf16>;

}  // namespace ingot::cuda
