#include "runtime/train/step_plan.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/config/validate.hpp"

namespace ingot {

StepPlan plan_steps(const Config& config, int ranks, std::int64_t samples_per_epoch,
                    std::int64_t tokens_per_sample) {
  StepPlan plan;
  plan.global_batch = global_batch(config, ranks);
  plan.accumulation = accumulation_steps(config, ranks);

  const auto limit = [&](std::int64_t steps) {
    plan.steps = plan.steps == 0 ? steps : std::min(plan.steps, steps);
  };
  const auto batch = static_cast<double>(plan.global_batch);
  if (config.train.steps > 0) limit(config.train.steps);
  if (config.train.tokens > 0) {
    limit(static_cast<std::int64_t>(std::ceil(static_cast<double>(config.train.tokens) /
                                              (batch * static_cast<double>(tokens_per_sample)))));
  }
  if (config.train.epochs > 0) {
    const double samples = config.train.epochs * static_cast<double>(samples_per_epoch);
    limit(std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(samples / batch))));
  }
  return plan;
}

}  // namespace ingot
