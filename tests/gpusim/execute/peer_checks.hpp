// Accesses to global memory, as the check of the order between processes sees them.
#pragma once

#include "execute/memory_access.hpp"

namespace gpusim::execute {

/// Plain accesses of the lanes: races are reported. Nothing where the memory is this process's own.
void check_peers(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                 const std::uint64_t* address);
/// The same of a range that one lane copies.
void check_peers_range(Context& context, const Op& op, int lane, const Allocation& allocation,
                       std::uint64_t address, std::uint64_t bytes, bool write);

/// For with_flags: what other processes know the address as. Not `watched`: nobody looks there.
const PeerTracking* flag_tracking(const Context& context, std::uint64_t address,
                                  std::uint64_t& location, bool& watched);
void record_flag(Context& context, const Op& op, const MemoryDetail& detail, int lane,
                 std::uint64_t address);

/// Calls f(lane) for each lane of an atomic or strong access, with what it publishes before and
/// what it learns behind.
template <class F>
void with_flags(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                const std::uint64_t* address, F f) {
  PeerBlock& block = context.block->peers;
  if (!block.watching()) {
    for_lanes(mask, f);
    return;
  }
  const int warp = context.warp->index;
  for_lanes(mask, [&](int lane) {
    std::uint64_t location = 0;
    bool watched = false;
    const PeerTracking* tracking = flag_tracking(context, address[lane], location, watched);
    if (!watched) {
      f(lane);
      return;
    }
    {
      PeerFlag flag(block, tracking, location);
      if (detail.write) flag.before_write(warp, lane, detail.releases, detail.scope);
      f(lane);
      if (!detail.write || detail.atomic) {
        flag.after_read(warp, lane, detail.acquires, detail.scope);
      }
    }
    if (tracking != nullptr) record_flag(context, op, detail, lane, address[lane]);
  });
}

}  // namespace gpusim::execute
