// What the CUDA module, libingot_cuda.so (ops/device/cuda_library.hpp), holds of ops and devices,
// behind its C entry point
//
//   extern "C" void* ingot_cuda_module(int version);   // a CudaModule; null: another version
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/device/cuda_library.hpp"
#include "ops/op.hpp"

namespace ingot {

/// One GPU as it is found, before anything is done with it.
struct GpuInfo {
  int ordinal = 0;
  std::string name;
  std::string uuid;  ///< "GPU-8f2c...", or "MIG-..." for a part of one
  int major = 0;     ///< compute capability
  int minor = 0;
  std::int64_t memory_bytes = 0;
  bool mig = false;  ///< a part of a GPU, or a GPU that is cut into parts
  /// Processes that compute on it and are not this one; their ids where they can be seen.
  std::vector<unsigned> other_processes;
  std::int64_t uncorrected_errors = 0;  ///< of its memory since the driver was loaded
  /// What NVML could not tell, in words; empty where it told all.
  std::string unknown;
};

/// What CUDA finds on this machine.
struct GpuSurvey {
  int driver_version = 0;   ///< 13000 for 13.0; 0: there is no driver
  int runtime_version = 0;  ///< of the CUDA runtime library
  std::string cublas;       ///< version of cuBLASLt
  std::vector<GpuInfo> gpus;
  std::string problem;  ///< why there is no usable GPU, with what to do; empty where there is one
};

class CudaModule {
 public:
  virtual ~CudaModule() = default;
  /// Looks, and uses no GPU. Does not throw: what is wrong is in `problem`.
  virtual GpuSurvey survey() = 0;
  /// Throws Error(kGpu).
  virtual std::unique_ptr<Device> create_device(int ordinal) = 0;
  /// Adds the CUDA kernels of ingot's ops.
  virtual void register_kernels(Registry& registry) = 0;
};

/// The module, opened at the first call; throws as cuda_library_entry() does.
CudaModule& load_cuda_module();

/// Adds the CUDA kernels of every op that ships with ingot. Generated at configure time, part of
/// the module.
void register_ops_cuda(Registry& registry);

}  // namespace ingot
