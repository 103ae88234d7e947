// Threads that help running launches, started once per process.
#pragma once

#include "execute/context.hpp"

namespace gpusim::execute {

/// Runs the launch on the calling thread and on helpers that are idle. The calling thread never
/// depends on a helper to make progress, so launches of different streams cannot block each other.
void run_on_pool(Launch& launch);

}  // namespace gpusim::execute
