// What kernels can report, and the errors that come of it.
#pragma once

#include "ops/cuda_launch.hpp"

namespace ingot::cuda {

/// Throws Error(kBadData) with the sentence that the CPU kernel would say. A FaultHandler.
void throw_fault(const KernelFault& fault);

}  // namespace ingot::cuda
