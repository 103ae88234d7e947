// The flat parameter store as the CUDA kernels of the optimizers are given it. Plain: both nvcc and
// the host compiler read this file.
#pragma once

#include "ops/base/bf16.hpp"
#include "ops/cuda_launch.hpp"
#include "ops/step_values.hpp"

namespace ingot::cuda {

/// Arrays of chunks * chunk elements, see ops/optimizer.hpp.
struct FlatStore {
  float* master = nullptr;
  const float* gradient = nullptr;
  Bf16* compute = nullptr;               ///< bf16 copy of master, or nullptr
  const float* chunk_factors = nullptr;  ///< [chunks, 2]: learning-rate factor, weight decay
  const StepScalars* step = nullptr;     ///< in device memory
  std::int64_t chunks = 0;
  int chunk = 0;  ///< elements
};

}  // namespace ingot::cuda
