// How many steps a run takes and how a step's samples are cut into micro batches.
#pragma once

#include <cstdint>

#include "runtime/config/config.hpp"

namespace ingot {

struct StepPlan {
  std::int64_t global_batch = 0;  ///< samples per step over all ranks
  std::int64_t accumulation = 1;  ///< micro batches per rank and step
  std::int64_t steps = 0;         ///< the step that ends the run; 0: only the wall time does
};

/// The smallest of the limits in `train`. The configuration is validated for `ranks` ranks.
/// Rounding is up: the last step finishes the token or epoch that the limit names.
StepPlan plan_steps(const Config& config, int ranks, std::int64_t samples_per_epoch,
                    std::int64_t tokens_per_sample);

}  // namespace ingot
