// The communicator of GPUs by NCCL: calls go to NCCL on the caller's stream, between two stamps of
// the flight record. README.md tells what NCCL does differently from other transports.
#pragma once

#include <memory>

#include "collectives/communicator.hpp"
#include "collectives/nccl/nccl.hpp"

namespace ingot {

/// A communicator of the ranks of `options`. Collective and blocking. Throws Error(kGpu, kTimeout)
/// where NCCL does not start.
std::unique_ptr<Communicator> create_nccl_communicator(NcclOptions options);

}  // namespace ingot
