// CUDA kernel of embedding: a warp copies, or adds, the rows of a token.
#include "ops/cuda_fault.cuh"
#include "ops/cuda_vector.cuh"
#include "ops/embedding/embedding_kernels.hpp"

namespace ingot::cuda {
namespace {

constexpr int kWarps = 8;

template <int N, typename T>
__global__ void __launch_bounds__(32 * kWarps, 4)
    embedding_kernel(const typename EmbeddingKernels<T>::Arguments arguments) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const bool has_positions = arguments.position_table != nullptr;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; i < arguments.count;
       i += std::int64_t{gridDim.x} * kWarps) {
    int token = 0;
    int position = 0;
    if (lane == 0) {
      token = checked_index(arguments.fault, FaultKind::kTokenIndex, arguments.tokens[i], i,
                            arguments.rows);
      if (has_positions) {
        position = checked_index(arguments.fault, FaultKind::kPositionIndex, arguments.positions[i],
                                 i, arguments.position_rows);
      }
    }
    token = __shfl_sync(0xffffffffU, token, 0);
    position = __shfl_sync(0xffffffffU, position, 0);
    const T* row = arguments.table + token * arguments.columns;
    const T* added = arguments.position_table + position * arguments.columns;
    T* y = arguments.y + i * arguments.columns;
    for (std::int64_t c = lane * N; c < arguments.columns; c += 32 * N) {
      Packed<T, N> vector = token < 0 ? Packed<T, N>::zero() : Packed<T, N>::load(row + c);
      if (has_positions && position >= 0) {
        float values[N];
        float others[N];
        vector.unpack(values);
        load_floats(added + c, others);
#pragma unroll
        for (int k = 0; k < N; ++k) values[k] += others[k];
        vector = Packed<T, N>::of(values);
      }
      vector.store(y + c);
    }
  }
}

}  // namespace

template <typename T>
void EmbeddingKernels<T>::forward(const CudaLaunch& launch, const Arguments& arguments) {
  if (arguments.count * arguments.columns == 0) return;
  const unsigned blocks = launch.blocks(pieces_of(arguments.count, kWarps), 8);
  if (arguments.columns % kVector<T> == 0 &&
      aligned(16, arguments.table, arguments.position_table, arguments.y)) {
    embedding_kernel<kVector<T>, T><<<blocks, 32 * kWarps, 0, launch.stream>>>(arguments);
  } else {
    embedding_kernel<1, T><<<blocks, 32 * kWarps, 0, launch.stream>>>(arguments);
  }
}

template struct EmbeddingKernels<float>;
template struct EmbeddingKernels<Bf16>;

}  // namespace ingot::cuda
