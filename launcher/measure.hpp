// Times ops and copies on a device, by its events: what the host takes to start work does not count
// where the device can replay a recording of it. Times are medians of batches that are long enough
// for the clock; an op's memory stays in the caches between executions where it fits.
#pragma once

#include <cstdint>
#include <span>

#include "launcher/op_cases.hpp"
#include "ops/op.hpp"

namespace ingot {

struct OpTime {
  double seconds = 0;        ///< of one execution, the median over batches
  double least_seconds = 0;  ///< of one execution in the fastest batch
  Cost cost;
};

/// Measures for about `seconds`.
OpTime measure_op(const Registry& registry, Device& device, const OpCase& use, double seconds);

/// FLOP/s of the best of products of square matrices of these sizes in this element type, each in
/// its fastest batch: a peak is what the machine can do undisturbed.
double measure_matrix_peak(const Registry& registry, Device& device, DType type,
                           std::span<const std::int64_t> sizes, double seconds);

/// Bytes read and written per second by copies of so many bytes, which should be far larger than
/// the caches.
double measure_copy(const Registry& registry, Device& device, std::int64_t bytes, double seconds);

}  // namespace ingot
