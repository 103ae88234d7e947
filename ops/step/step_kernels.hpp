// Launch functions of the ops around the step scalars; see step_kernels.cu.
#pragma once

#include "ops/cuda_launch.hpp"
#include "ops/step_values.hpp"

namespace ingot::cuda {

/// step->loss_sum += losses[0] + losses[1] + ..., in this order; `step` lies in device memory.
void launch_accumulate_loss(const CudaLaunch& launch, const double* losses, std::int64_t count,
                            StepScalars* step);

/// table[step->micro_batch] = losses[0] + losses[1] + ..., in this order; ++step->micro_batch.
/// Nothing is written where that is not below `size`, the number of entries of the table.
void launch_record_loss(const CudaLaunch& launch, const double* losses, std::int64_t count,
                        StepScalars* step, double* table, std::int64_t size);

/// step->loss_sum = the sum of table [ranks, own] column by column.
void launch_sum_losses(const CudaLaunch& launch, const double* table, std::int64_t ranks,
                       std::int64_t own, StepScalars* step);

/// y[b] = x[b, step->last_position] for x [batch, length] of rows of `row_bytes` bytes. A position
/// outside the chunk is reported, and zeros are written.
void launch_select_position(const CudaLaunch& launch, const void* x, const StepScalars* step,
                            void* y, std::int64_t batch, std::int64_t length,
                            std::int64_t row_bytes);

}  // namespace ingot::cuda
