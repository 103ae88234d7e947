// What every launch function of a CUDA kernel is told about the GPU, and where kernels report data
// that they cannot use. Plain: both nvcc and the host compiler read this file.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

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

/// The first bad value that kernels of a device met. Lies in pinned host memory, so that the host
/// can look at it after any synchronisation without a copy. A kernel that reports one goes on with
/// a harmless value and never reads or writes outside a tensor.
struct KernelFault {
  std::int32_t kind = 0;   ///< FaultKind; set by the one thread that fills in the rest
  std::int64_t value = 0;  ///< what was found
  std::int64_t at = 0;     ///< element of the batch
  std::int64_t limit = 0;  ///< what the value should be below
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
