// CUDA kernels of the ops around the step scalars.
#include "ops/cuda_fault.cuh"
#include "ops/cuda_ordered_sum.cuh"
#include "ops/step/step_kernels.hpp"

namespace ingot::cuda {
namespace {

__global__ void __launch_bounds__(kOrderedThreads)
    accumulate_loss_kernel(const double* losses, std::int64_t count, StepScalars* step) {
  __shared__ double tile[kOrderedTile];
  const double before = threadIdx.x == 0 ? step->loss_sum : 0.0;
  const double sum = ordered_sum(losses, count, before, tile);
  if (threadIdx.x == 0) step->loss_sum = sum;
}

__global__ void __launch_bounds__(kOrderedThreads)
    record_loss_kernel(const double* losses, std::int64_t count, StepScalars* step, double* table,
                       std::int64_t size) {
  __shared__ double tile[kOrderedTile];
  const double sum = ordered_sum(losses, count, 0.0, tile);
  if (threadIdx.x != 0) return;
  const std::int64_t micro_batch = step->micro_batch;
  if (micro_batch >= 0 && micro_batch < size) table[micro_batch] = sum;
  step->micro_batch = micro_batch + 1;
}

/// Piece by piece of the table [ranks, own], as it lies there, to shared memory, where one thread
/// adds column by column.
__global__ void __launch_bounds__(kOrderedThreads)
    sum_losses_kernel(const double* table, std::int64_t ranks, std::int64_t own,
                      StepScalars* step) {
  __shared__ double tile[kOrderedTile];
  // Whole columns; of more ranks than fit, pieces of one.
  const std::int64_t most_columns = max(std::int64_t{kOrderedTile} / ranks, std::int64_t{1});
  double sum = 0;
  for (std::int64_t column = 0; column < own; column += most_columns) {
    const auto columns = static_cast<int>(min(own - column, most_columns));
    for (std::int64_t rank = 0; rank < ranks; rank += kOrderedTile) {
      const auto rows = static_cast<int>(min(ranks - rank, std::int64_t{kOrderedTile}));
      __syncthreads();  // the piece before has been added
      for (int i = static_cast<int>(threadIdx.x); i < rows * columns; i += kOrderedThreads) {
        tile[i] = table[(rank + i / columns) * own + column + i % columns];
      }
      __syncthreads();
      if (threadIdx.x != 0) continue;
      for (int c = 0; c < columns; ++c) {
#pragma unroll 8
        for (int r = 0; r < rows; ++r) sum += tile[r * columns + c];
      }
    }
  }
  if (threadIdx.x == 0) step->loss_sum = sum;
}

constexpr int kThreads = 256;

/// Rows as `words` pieces of type Word. Block y takes samples.
template <typename Word>
__global__ void __launch_bounds__(kThreads)
    select_position_kernel(const Word* x, const StepScalars* step, Word* y, std::int64_t batch,
                           std::int64_t length, std::int64_t words, KernelFault* fault) {
  __shared__ std::int64_t position;
  if (threadIdx.x == 0) {
    const std::int64_t wanted = step->last_position;
    const bool inside = wanted >= 0 && wanted < length;
    position = inside ? wanted : -1;
    if (!inside) report_fault(fault, FaultKind::kChunkPosition, wanted, 0, length);
  }
  __syncthreads();
  for (std::int64_t b = blockIdx.y; b < batch; b += gridDim.y) {
    for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < words;
         i += std::int64_t{gridDim.x} * kThreads) {
      y[b * words + i] = position < 0 ? Word{} : x[(b * length + position) * words + i];
    }
  }
}

template <typename Word>
void select_as(const CudaLaunch& launch, const void* x, const StepScalars* step, void* y,
               std::int64_t batch, std::int64_t length, std::int64_t row_bytes) {
  const auto words = row_bytes / static_cast<std::int64_t>(sizeof(Word));
  const dim3 grid(launch.blocks(pieces_of(words, kThreads), 4),
                  static_cast<unsigned>(std::min<std::int64_t>(batch, 1024)));
  select_position_kernel<<<grid, kThreads, 0, launch.stream>>>(
      static_cast<const Word*>(x), step, static_cast<Word*>(y), batch, length, words, launch.fault);
}

}  // namespace

void launch_accumulate_loss(const CudaLaunch& launch, const double* losses, std::int64_t count,
                            StepScalars* step) {
  accumulate_loss_kernel<<<1, kOrderedThreads, 0, launch.stream>>>(losses, count, step);
}

void launch_record_loss(const CudaLaunch& launch, const double* losses, std::int64_t count,
                        StepScalars* step, double* table, std::int64_t size) {
  record_loss_kernel<<<1, kOrderedThreads, 0, launch.stream>>>(losses, count, step, table, size);
}

void launch_sum_losses(const CudaLaunch& launch, const double* table, std::int64_t ranks,
                       std::int64_t own, StepScalars* step) {
  sum_losses_kernel<<<1, kOrderedThreads, 0, launch.stream>>>(table, ranks, own, step);
}

void launch_select_position(const CudaLaunch& launch, const void* x, const StepScalars* step,
                            void* y, std::int64_t batch, std::int64_t length,
                            std::int64_t row_bytes) {
  if (batch * row_bytes == 0) return;
  if (row_bytes % 16 == 0 && aligned(16, x, y)) {
    select_as<uint4>(launch, x, step, y, batch, length, row_bytes);
  } else if (row_bytes % 4 == 0 && aligned(4, x, y)) {
    select_as<std::uint32_t>(launch, x, step, y, batch, length, row_bytes);
  } else {
    select_as<std::uint8_t>(launch, x, step, y, batch, length, row_bytes);
  }
}

}  // namespace ingot::cuda
