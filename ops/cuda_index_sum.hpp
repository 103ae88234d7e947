// Sums of vectors by the table row that each belongs to, the backward of every look-up: row v of
// the result is the sum of the vectors of the samples whose index is v. Plain: both nvcc and the
// host compiler read this file; see cuda_index_sum.cu for how.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// Workspace of IndexSumKernels::run, for `count` samples, `rows` table rows of `width` elements.
std::int64_t index_sum_workspace_bytes(std::int64_t count, std::int64_t rows, std::int64_t width);

/// For vectors of float or Bf16.
template <typename T>
struct IndexSumKernels {
  struct Arguments {
    const std::int32_t* indices = nullptr;  ///< [count]
    std::int64_t count = 0;
    std::int64_t rows = 0;
    std::int64_t width = 0;
    /// The vector of sample s begins at from + (s / group) * stride + (s % group) * width.
    const T* from = nullptr;
    std::int64_t group = 1;
    std::int64_t stride = 0;
    float* to = nullptr;      ///< [rows, width]
    bool accumulate = false;  ///< add to what `to` holds
    void* workspace = nullptr;
    /// What an index outside [0, rows) is reported as; its sample is left out.
    FaultKind fault = FaultKind::kGradientIndex;
  };
  static void run(const CudaLaunch& launch, const Arguments& arguments);
};

}  // namespace ingot::cuda
