// Which GPUs there are and whether they can be used: asks the runtime library and NVML, and starts
// nothing on a GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/device/cuda/nvml.hpp"

namespace ingot::cuda {

struct Gpu {
  int ordinal = 0;
  std::string name;
  std::string uuid;
  int major = 0;
  int minor = 0;
  std::int64_t memory_bytes = 0;
  NvmlFacts nvml;
};

struct Survey {
  int driver_version = 0;
  int runtime_version = 0;
  std::string cublas;
  std::vector<Gpu> gpus;
  std::string problem;  ///< why none can be used; empty where one can
};

Survey survey_gpus();

/// "13.0" of 13000, as CUDA counts versions.
std::string version_text(int version);

}  // namespace ingot::cuda
