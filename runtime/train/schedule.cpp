// The learning rate as a pure function of the step.
#include "runtime/train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

/// How far `step` is on the way from `begin` (0) to `end` (1).
double progress(std::int64_t step, std::int64_t begin, std::int64_t end) {
  if (step >= end) return 1;
  if (step <= begin) return 0;
  return static_cast<double>(step - begin) / static_cast<double>(end - begin);
}

}  // namespace

double learning_rate(const ScheduleConfig& schedule, double peak, std::int64_t step,
                     std::int64_t run_steps) {
  if (step < schedule.warmup) {
    return peak * static_cast<double>(step) / static_cast<double>(schedule.warmup);
  }
  if (schedule.kind == "constant") return peak;
  const std::int64_t length = schedule.steps > 0 ? schedule.steps : run_steps;
  if (length <= 0) {
    fail(ExitCode::kConfiguration,
         "schedule.kind {} has to know its length and the run's number of steps is not known; set "
         "schedule.steps or train.steps, or use schedule.kind: constant",
         schedule.kind);
  }
  double share = 0;  // of the way from floor to peak
  if (schedule.kind == "cosine") {
    const double done = progress(step, schedule.warmup, length);
    share = done == 1 ? 0 : 0.5 * (1 + std::cos(std::numbers::pi * done));
  } else if (schedule.kind == "linear") {
    share = 1 - progress(step, schedule.warmup, length);
  } else if (schedule.kind == "wsd") {
    const std::int64_t decay = std::llround(schedule.decay_fraction * static_cast<double>(length));
    share = 1 - progress(step, std::max(schedule.warmup, length - decay), length);
  } else {
    fail(ExitCode::kConfiguration,
         "schedule.kind is \"{}\", expected cosine, linear, wsd or constant", schedule.kind);
  }
  return peak * (share + schedule.floor * (1 - share));
}

}  // namespace ingot
