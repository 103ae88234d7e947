// How a kernel reports a value that it cannot use.
#pragma once

#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// Keeps the first report; which of several that is depends on timing, but then the step fails
/// whatever is reported.
__device__ inline void report_fault(KernelFault* fault, FaultKind kind, std::int64_t value,
                                    std::int64_t at, std::int64_t limit) {
  if (atomicCAS(&fault->kind, 0, static_cast<std::int32_t>(kind)) != 0) return;
  fault->value = value;
  fault->at = at;
  fault->limit = limit;
}

/// The index, or -1 after a report where it lies outside [0, rows).
__device__ inline std::int32_t checked_index(KernelFault* fault, FaultKind kind, std::int32_t index,
                                             std::int64_t at, std::int64_t rows) {
  if (index >= 0 && index < rows) return index;
  report_fault(fault, kind, index, at, rows);
  return -1;
}

}  // namespace ingot::cuda
