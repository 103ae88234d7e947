// The numbers that change from step to step, as a plain struct: kernels of every device read it, so
// this header includes nothing that a device compiler cannot.
#pragma once

#include <cstdint>

namespace ingot {

/// Written by the host before each program run (the first part) and by kernels (the second part).
/// In a graph it is one u8 tensor of sizeof(StepScalars) bytes.
struct StepScalars {
  // Set by the host.
  std::uint64_t seed = 0;      ///< of the run; keys every Philox draw
  std::int64_t step = 0;       ///< optimizer step, counted from 1
  std::int64_t adam_step = 0;  ///< t of Adam's bias correction; differs from step after skips
  double learning_rate = 0;    ///< of this step, before per-group factors
  double clip_norm = 0;        ///< clip the global norm to this; 0: no clipping
  double ema_decay = 0;
  std::int64_t cache_length = 0;   ///< positions already in the KV cache
  std::int64_t last_position = 0;  ///< generation: row of the chunk whose logits are wanted
  std::int64_t micro_batch = 0;    ///< host: 0 before the first of a step; record_loss counts it up
  // Sums over the ranks: one all_reduce of kStepSums adjacent f64 makes them global.
  double loss_sum = 0;     ///< host: 0 before the first micro batch; kernels add to it
  double counted = 1;      ///< host: targets of this rank's micro batches that the loss counts
  double stop_votes = 0;   ///< host: 1 where this rank got a signal to save and stop
  double save_votes = 0;   ///< host: 1 where this rank was asked to save and go on
  double time_votes = 0;   ///< host: 1 where this rank's wall-time limit has passed
  double saved_votes = 0;  ///< host: 1 where this rank has written its part of a checkpoint
  // Set by kernels of the update program.
  double gradient_norm = 0;   ///< global norm of gradient / counted, before clipping
  double gradient_scale = 1;  ///< what update multiplies gradients by: clip factor / counted
  std::int64_t skip = 0;      ///< 1: the norm is not finite and update changes nothing
};

/// Doubles from loss_sum on that are summed over ranks.
constexpr std::int64_t kStepSums = 6;

}  // namespace ingot
