// Where kernels report a value that they cannot use, such as an index beyond a table: a kernel
// cannot throw, and stopping it would end the whole process. Plain: nvcc reads this file too.
#pragma once

#include <cstdint>

namespace ingot::cuda {

/// The first bad value that kernels of a device met. Lies in pinned host memory, so that the host
/// can look at it after any synchronisation without a copy. A kernel that reports one goes on with
/// a harmless value and never reads or writes outside a tensor.
struct KernelFault {
  std::int32_t kind = 0;   ///< 0: none; the one thread that sets it fills in the rest
  std::int64_t value = 0;  ///< what was found
  std::int64_t at = 0;     ///< element of the batch
  std::int64_t limit = 0;  ///< what the value should be below
};

/// Throws the error that a report stands for.
using FaultHandler = void (*)(const KernelFault& fault);

}  // namespace ingot::cuda
