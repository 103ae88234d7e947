// ncclGroupStart and ncclGroupEnd: what this thread has called in between starts at the end, all of
// it together. Outside of a group a call is a group of its own.
#pragma once

#include <functional>

#include "nccl/operation.hpp"

namespace gpusim::nccl {

void begin_group();
/// Starts what was called since the outermost begin_group(), or, where a call of the group failed,
/// nothing.
ncclResult_t end_group();

/// A call of a collective, checked: at once or at the group's end.
ncclResult_t submit(ncclComm* communicator, const Call& call);

/// Blocking work that ranks do together (initialisation, split): at once, or at the group's end
/// beside the others of the group, on threads.
ncclResult_t submit_start(std::function<ncclResult_t()> start);

}  // namespace gpusim::nccl
