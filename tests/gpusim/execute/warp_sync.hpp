// Operations that lanes of a warp perform together (.sync with a member mask): a group that arrives
// parks until all lanes of its mask that have not exited are parked too.
#pragma once

#include "execute/context.hpp"

namespace gpusim::execute {

/// Runs `op` for `mask` of the current group, or parks lanes whose partners are missing. Moves the
/// group behind the operation where it was run; sets Event::kReschedule where groups have changed.
void run_sync(Context& context, const Op& op, LaneMask mask);

}  // namespace gpusim::execute
