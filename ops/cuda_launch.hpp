// What every launch function of a CUDA kernel is told about the GPU, and what
// kernels can report. Plain: both nvcc and the host compiler read this file.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

#include "ops/device/cuda/kernel_fault.hpp"

namespace ingot::cuda {

/// Which check of a kernel failed; the host makes a sentence of it (ops/cuda_fault.hpp).
enum class FaultKind : std::int32_t {
  kNone = 0,
  kTokenIndex,
  kPositionIndex,
  kGradientIndex,
  kCategoryIndex,
  kCategoryGradientIndex,
  kTarget,
  kBinaryLabel,
  kChunkPosition
};

struct CudaLaunch {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
  int shared_bytes = 48 * 1024;  ///< that one block can have when it asks
  KernelFault* fault = nullptr;

  /// Blocks for `pieces` of work that blocks take turns at: enough to fill the GPU with
  /// `per_multiprocessor` each, not more than there is work, never none.
  unsigned blocks(std::int64_t pieces, int per_multiprocessor) const {
    const std::int64_t most = std::int64_t{multiprocessors} * per_multiprocessor;
    return static_cast<unsigned>(std::clamp<std::int64_t>(pieces, 1, most));
  }
};

/// Whether all of these addresses are multiples of `bytes`; nullptr is.
template <typename... Pointers>
bool aligned(std::size_t bytes, Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % bytes == 0) && ...);
}

constexpr std::int64_t pieces_of(std::int64_t count, std::int64_t piece) {
  return (count + piece - 1) / piece;
}

}  // namespace ingot::cuda
