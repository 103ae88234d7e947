// What the CUDA module, libingot_cuda.so (ops/device/cuda_library.hpp), holds of collectives,
// behind its C entry point
//
//   extern "C" void* ingot_cuda_collectives(int version);   // CudaCollectives; null: another
//   version
//
// Its sources are *_cuda.cpp and *.cu below collectives/; they alone may include CUDA's headers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "collectives/algorithms/direct/direct.hpp"
#include "collectives/algorithms/tree_sum.hpp"
#include "collectives/communicator.hpp"
#include "collectives/nccl/nccl.hpp"

namespace ingot {

class CudaCollectives {
 public:
  virtual ~CudaCollectives() = default;
  /// NCCL's version as 22803 for 2.28.3; 0 where the module was built without NCCL.
  virtual int nccl_version() = 0;
  /// What tells a GPU of the CUDA device's from all others of its machine.
  virtual std::string gpu_identity(Device& device) = 0;
  /// The ranks of `options` by NCCL. Collective and blocking. Throws Error(kEnvironment) where the
  /// module was built without NCCL, Error(kGpu or kTimeout) where NCCL does not start.
  virtual std::unique_ptr<Communicator> create_nccl(NcclOptions options) = 0;
  /// The ranks of one node by direct loads and stores between their GPUs, or why these cannot be
  /// had: the same on all ranks. Collective and blocking.
  virtual DirectResult create_direct(const DirectOptions& options) = 0;
  /// to[0..count) = the tree sum of blocks of `count` elements on `stream`; see TreeSum::run(). All
  /// memory is the GPU's.
  virtual void tree_sum(Stream& stream, const TreeSum& sum, float* to, const float* blocks,
                        std::int64_t count) = 0;
};

/// Opened at the first call; throws as cuda_library_entry() does.
CudaCollectives& load_cuda_collectives();

}  // namespace ingot
