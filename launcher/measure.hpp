// Times ops and copies on the CPU device. Times are medians of batches that are long enough for the
// clock; the kernel's own memory stays in the caches between executions where it fits.
#pragma once

#include <cstdint>

#include "launcher/op_cases.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {

struct OpTime {
  double seconds = 0;        ///< of one execution, the median over batches
  double least_seconds = 0;  ///< of one execution in the fastest batch
  Cost cost;
};

/// Measures for about `seconds`.
OpTime measure_op(const Registry& registry, cpu::CpuDevice& device, const OpCase& use,
                  double seconds);

/// FLOP/s of the best of several large matrix products in this element type, each in its fastest
/// batch: a peak is what the machine can do undisturbed.
double measure_matrix_peak(const Registry& registry, cpu::CpuDevice& device, DType type,
                           double seconds);

/// Bytes read and written per second by copies far larger than the caches.
double measure_copy(cpu::CpuDevice& device);

}  // namespace ingot
