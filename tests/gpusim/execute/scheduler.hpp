// Blocks of a launch on the workers: started in the order of their index, as many at once as the
// device would hold, each resumed in turn until it ends.
#pragma once

#include "execute/context.hpp"

namespace gpusim::execute {

/// Runs blocks until none is left or the launch has failed. Called by every worker of a launch.
void run_blocks(Launch& launch);

}  // namespace gpusim::execute
