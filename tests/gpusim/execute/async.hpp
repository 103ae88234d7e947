// What completes asynchronous copies, see async_copy.hpp.
#pragma once

#include "execute/context.hpp"

namespace gpusim::execute {

/// Performs copies that complete on the mbarrier at `offset` of `owner`'s shared memory, and the
/// arrivals that waited for them.
void deliver_for(Context& context, Block& owner, std::uint32_t offset);

/// cp.async copies of one lane issued before `sequence`.
void deliver_lane(Block& block, Warp& warp, int lane, std::uint64_t sequence);
/// The part of deliver_for that concerns bulk copies.
void deliver_bulk(Block& owner, std::uint32_t offset);

/// Bulk copies to global memory that these lanes leave behind without having waited for them.
void check_abandoned_copies(Context& context, const Op& op, LaneMask lanes);

/// The place of an initialised mbarrier; null after a fault. Its accesses are no races.
std::byte* mbarrier_place(Context& context, const Op& op, int lane, std::uint64_t address);

// The mbarrier in a word of shared memory. Each may end the phase.
void mbarrier_arrive(std::byte* place, std::uint32_t count);
void mbarrier_add_pending(std::byte* place);
void mbarrier_complete_bytes(std::byte* place, std::uint32_t bytes);

}  // namespace gpusim::execute
