// Turns CUDA's return codes into ingot's errors. After an illegal access every later call of the
// process fails with the same code, so the first error that is seen may belong to earlier work.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <string_view>

#include "ops/base/error.hpp"

namespace ingot::cuda {

/// "GPU 0 (NVIDIA H100 80GB HBM3)" of the calling thread's current device; never fails.
std::string current_device_name();

/// Throws Error(kGpu) with the call, the device and CUDA's own words where `code` is an error.
void fail_with(cudaError_t code, std::string_view call, std::string_view doing);
inline void check(cudaError_t code, std::string_view call, std::string_view doing = {}) {
  if (code != cudaSuccess) fail_with(code, call, doing);
}

}  // namespace ingot::cuda
