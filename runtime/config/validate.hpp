// What the keys of a job description have to say together, checked before any data or device is
// touched.
#pragma once

#include <cstdint>

#include "runtime/config/config.hpp"

namespace ingot {

/// Throws Error(kConfiguration) at the first combination that cannot be run by this many ranks,
/// naming where the value was set, what it is, what is expected, and the nearest valid value.
void validate(const Config& config, int ranks);

/// Sequences or rows per optimizer step over all ranks: batch.global or its default; 0 where that
/// depends on a micro batch that is still to be chosen.
std::int64_t global_batch(const Config& config, int ranks);

/// Micro batches that each rank accumulates in one optimizer step.
std::int64_t accumulation_steps(const Config& config, int ranks);

/// The schedule's length as far as the configuration alone tells: schedule.steps, or the least of
/// what train.steps and train.tokens come to; 0 where it depends on the data, on time or on a micro
/// batch that is still to be chosen.
std::int64_t schedule_steps(const Config& config, int ranks);

}  // namespace ingot
