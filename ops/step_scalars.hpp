// The numbers that change from step to step. Kernels read them from device memory, so that a
// program (on CUDA: a captured graph) can be replayed without being touched.
#pragma once

#include <cstdint>

#include "ops/step_values.hpp"
#include "ops/tensor.hpp"

namespace ingot {

inline TensorType step_scalars_type() {
  return {DType::kU8, Shape{static_cast<std::int64_t>(sizeof(StepScalars))}};
}

}  // namespace ingot
