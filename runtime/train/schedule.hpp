// The learning rate as a pure function of the step, so that a resumed run goes on exactly where it
// stopped and a plan can be drawn before anything runs.
#pragma once

#include <cstdint>

#include "runtime/config/config.hpp"

namespace ingot {

/// The learning rate of optimizer step `step`, counted from 1. It rises linearly to `peak` at step
/// schedule.warmup and reaches floor x peak at the schedule's last step, after which it stays.
/// cosine and linear fall all the way from warm-up; wsd (warm-up, stable, decay) holds the peak and
/// falls linearly over the last decay_fraction of the steps; constant never falls.
/// The schedule is schedule.steps long or, where that is 0, `run_steps`; fails with kConfiguration
/// where both are 0 and the kind needs a length.
/// Cosine: Loshchilov and Hutter, "SGDR", 2017; wsd: Hu et al., "MiniCPM", 2024.
double learning_rate(const ScheduleConfig& schedule, double peak, std::int64_t step,
                     std::int64_t run_steps);

}  // namespace ingot
