// From addresses to the records of shared memory, and the reports.
#include "execute/peer_checks.hpp"

namespace gpusim::execute {
namespace {

void check_one(Context& context, const Op& op, int lane, const Allocation& allocation,
               std::uint64_t address, std::uint64_t bytes, bool write, bool strong, Site* site) {
  const PeerTracking& tracking = *allocation.peer.load(std::memory_order_relaxed);
  std::uint16_t place = site != nullptr ? site->peer_place : 0;
  if (place == 0) {
    place = peer_place("kernel " + context.launch.program->name + " at " + context.line(op));
    if (site != nullptr) site->peer_place = place;
  }
  const std::uint64_t offset = address - allocation.begin;
  const PeerConflict conflict =
      context.block->peers.access(tracking, tracking.owner_offset + offset, bytes,
                                  context.warp->index, lane, write, strong, place);
  if (!conflict.found) return;
  context.report("peer race", op, lane,
                 std::string(write ? "writes " : "reads ") + std::to_string(bytes) +
                     " bytes at offset " + std::to_string(offset) + " of " + allocation.label +
                     ", " + conflict.text);
}

const Allocation* shared_block(std::uint64_t address) {
  const Allocation* allocation = AddressSpace::instance().find(address);
  return allocation != nullptr && allocation->peer.load(std::memory_order_relaxed) != nullptr
             ? allocation
             : nullptr;
}

}  // namespace

void check_peers(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                 const std::uint64_t* address) {
  if (!context.block->peers.watching()) return;
  Site& site = context.site(detail.site + context.code->first_site);
  const Allocation* last = site.allocation;
  for_lanes(mask, [&](int lane) {
    const std::uint64_t at = address[lane];
    if (last == nullptr || !last->contains(at, detail.width)) {
      last = AddressSpace::instance().find(at);
    }
    if (last == nullptr || last->peer.load(std::memory_order_relaxed) == nullptr) return;
    check_one(context, op, lane, *last, at, detail.width, detail.write, false, &site);
  });
}

void check_peers_range(Context& context, const Op& op, int lane, const Allocation& allocation,
                       std::uint64_t address, std::uint64_t bytes, bool write) {
  if (!context.block->peers.watching() || allocation.peer == nullptr) return;
  check_one(context, op, lane, allocation, address, bytes, write, false, nullptr);
}

const PeerTracking* flag_tracking(const Context& context, std::uint64_t address,
                                  std::uint64_t& location, bool& watched) {
  const Allocation* allocation = AddressSpace::instance().find(address);
  const PeerTracking* tracking =
      allocation != nullptr ? allocation->peer.load(std::memory_order_relaxed) : nullptr;
  location = tracking != nullptr ? tracking->owner_offset + (address - allocation->begin) : address;
  watched = tracking != nullptr || context.block->peers.active() || peer_flags_in_use();
  return tracking;
}

void record_flag(Context& context, const Op& op, const MemoryDetail& detail, int lane,
                 std::uint64_t address) {
  const Allocation* allocation = shared_block(address);
  if (allocation == nullptr) return;
  Site& site = context.site(detail.site + context.code->first_site);
  check_one(context, op, lane, *allocation, address, detail.width, detail.write, true, &site);
}

}  // namespace gpusim::execute
