// The numbers that change from step to step. Kernels read them from device memory, so that a
// program (on CUDA: a captured graph) can be replayed without being touched.
#pragma once

#include <cstdint>

#include "ops/tensor.hpp"

namespace ingot {

/// Written by the host before each program run (the first part) and by kernels (the second part).
/// In a graph it is one u8 tensor of sizeof(StepScalars) bytes.
struct StepScalars {
  // Set by the host.
  std::uint64_t seed = 0;      ///< of the run; keys every Philox draw
  std::int64_t step = 0;       ///< optimizer step, counted from 1
  std::int64_t adam_step = 0;  ///< t of Adam's bias correction; differs from step after skips
  double learning_rate = 0;    ///< of this step, before per-group factors
  double counted = 1;          ///< tokens or rows of the global batch that the loss counts
  double clip_norm = 0;        ///< clip the global norm to this; 0: no clipping
  double ema_decay = 0;
  std::int64_t cache_length = 0;  ///< positions already in the KV cache
  // Set by kernels of the update program.
  double gradient_norm = 0;   ///< global norm of gradient / counted, before clipping
  double gradient_scale = 1;  ///< what update multiplies gradients by: clip factor / counted
  std::int64_t skip = 0;      ///< 1: the norm is not finite and update changes nothing
};

inline TensorType step_scalars_type() {
  return {DType::kU8, Shape{static_cast<std::int64_t>(sizeof(StepScalars))}};
}

}  // namespace ingot
