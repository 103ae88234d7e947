// Completion of asynchronous copies, see async_copy.hpp.
#pragma once

#include "execute/context.hpp"

namespace gpusim::execute {

/// Performs copies that have an mbarrier, of the whole block, which has nothing else to do. True
/// where there was one.
bool deliver_overdue(Context& context);

/// Performs copies that complete on the mbarrier at `offset` of the block's shared memory.
void deliver_for(Context& context, const Op& op, std::uint32_t offset);

}  // namespace gpusim::execute
