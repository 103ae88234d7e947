// cp.async.bulk: one lane copies a range, into shared memory with an mbarrier that counts its
// bytes, or out of it in groups that the lane waits for.
#include <cstring>

#include "execute/async.hpp"
#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

struct BulkDetail : MemoryDetail {  // the destination's address: a
  MemoryDetail source;              // b
  MemoryDetail barrier;             // e
  bool multicast = false;           // d2 holds no result: inputs[0] is the mask of blocks
};

/// The address of one lane, without its window where it was generic.
std::uint64_t lane_address(Context& context, const MemoryDetail& detail, Ref row, int lane,
                           ptx::Space& space) {
  std::uint64_t address = static_cast<std::uint64_t>(detail.offset);
  if (!row.absent()) {
    address +=
        detail.wide_address ? context.row64(row)[lane] : std::uint64_t{context.row32(row)[lane]};
  }
  space = detail.space;
  if (space == ptx::Space::kGeneric) {
    std::uint64_t addresses[kLanes];
    addresses[lane] = address;
    by_space(context, 1u << lane, addresses, [&space](ptx::Space found, LaneMask) {
      space = found;
      return true;
    });
    address = addresses[lane];
  }
  return address;
}

constexpr std::uint64_t kBulkAlignment = 16;

/// Fills the shared memory of one block; `offset` there and `barrier` in the same block.
void start_fill(Context& context, const Op& op, int lane, Block& target, std::uint64_t offset,
                std::uint64_t barrier, const std::byte* source, std::uint32_t bytes) {
  std::byte* place = target.shared.data() + offset;
  std::memset(place, 0xcb, bytes);
  mark_shared_written(target, offset, bytes, false);
  PendingBulk pending;
  pending.copy = {&op, lane, source, place, bytes, static_cast<std::uint32_t>(offset)};
  pending.target = &target;
  pending.mbarrier = static_cast<std::uint32_t>(barrier);
  (void)context;
  target.bulk.push_back(pending);
}

void to_shared(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<BulkDetail>();
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    ptx::Space space{}, source_space{}, barrier_space{};
    const std::uint64_t address = lane_address(context, detail, op.a, lane, space);
    const std::uint64_t from = lane_address(context, detail.source, op.b, lane, source_space);
    const std::uint64_t barrier = lane_address(context, detail.barrier, op.e, lane, barrier_space);
    const std::uint32_t bytes = context.row32(op.c)[lane];
    if (bytes % kBulkAlignment != 0) {
      context.fail(Fault::kMisaligned, op, lane,
                   "a bulk copy of " + std::to_string(bytes) + " bytes, no multiple of 16");
      return;
    }
    const std::byte* source =
        source_space == ptx::Space::kShared
            ? resolve_shared_range(context, op, lane, from, bytes, false, kBulkAlignment)
            : resolve_global_range(context, op, lane, from, bytes, false, kBulkAlignment);
    if (source == nullptr) return;
    if (source_space != ptx::Space::kShared) ++context.counters.global_load_requests;
    if (resolve_shared_range(context, op, lane, address, bytes, true, kBulkAlignment) == nullptr ||
        mbarrier_place(context, op, lane, barrier) == nullptr) {
      return;
    }
    std::uint64_t offset = 0, barrier_offset = 0;
    Block* target = shared_owner(context, address, offset);
    shared_owner(context, barrier, barrier_offset);
    if (!detail.multicast) {
      start_fill(context, op, lane, *target, offset, barrier_offset, source, bytes);
      return;
    }
    const std::uint32_t blocks = context.row32(detail.inputs[0])[lane];
    for (Block* member : context.block->cluster) {
      if ((blocks >> member->cluster_rank & 1) == 0) continue;
      start_fill(context, op, lane, *member, offset, barrier_offset, source, bytes);
    }
  });
  context.block->races.release(context.warp->index);
  context.block->peers.shared_release(context.warp->index);
}

void to_global(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<BulkDetail>();
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    ptx::Space space{}, source_space{};
    const std::uint64_t address = lane_address(context, detail, op.a, lane, space);
    const std::uint64_t from = lane_address(context, detail.source, op.b, lane, source_space);
    const std::uint32_t bytes = context.row32(op.c)[lane];
    if (bytes % kBulkAlignment != 0) {
      context.fail(Fault::kMisaligned, op, lane,
                   "a bulk copy of " + std::to_string(bytes) + " bytes, no multiple of 16");
      return;
    }
    const std::byte* source =
        resolve_shared_range(context, op, lane, from, bytes, false, kBulkAlignment);
    if (source == nullptr) return;
    std::byte* target =
        resolve_global_range(context, op, lane, address, bytes, true, kBulkAlignment);
    if (target == nullptr) return;
    ++context.counters.global_store_requests;
    context.warp->copies.bulk_open.push_back({&op, lane, source, target, bytes, 0});
  });
}

void commit(Context& context, const Op&, LaneMask mask) {
  AsyncCopies& copies = context.warp->copies;
  for_lanes(mask, [&](int lane) {
    BulkGroup group;
    group.lane = lane;
    for (const BulkCopy& copy : copies.bulk_open) {
      if (copy.lane == lane) group.copies.push_back(copy);
    }
    std::erase_if(copies.bulk_open, [lane](const BulkCopy& c) { return c.lane == lane; });
    copies.bulk_groups.push_back(std::move(group));
  });
}

void wait_group(Context& context, const Op& op, LaneMask mask) {
  std::deque<BulkGroup>& groups = context.warp->copies.bulk_groups;
  std::uint32_t newer[kLanes] = {};
  for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
    if ((mask >> group->lane & 1) == 0 || newer[group->lane]++ < op.immediate) continue;
    for (const BulkCopy& copy : group->copies) {
      std::memcpy(copy.destination, copy.source, copy.bytes);
    }
    group->lane = -1;
  }
  std::erase_if(groups, [](const BulkGroup& group) { return group.lane < 0; });
}

void nothing(Context&, const Op&, LaneMask) {}

ptx::Space space_named(const std::string& m) {
  return m == "global" ? ptx::Space::kGlobal : ptx::Space::kShared;
}

void decode_copy(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.has("tensor")) decoder.unsupported("tensor maps");
  // The spaces stand in the order destination, source.
  std::vector<ptx::Space> spaces;
  for (const std::string& m : i.modifiers) {
    if (m == "global" || m == "shared::cta" || m == "shared::cluster") {
      spaces.push_back(space_named(m));
    }
  }
  if (spaces.size() != 2 || i.operands.size() < 3) {
    decoder.unsupported("two spaces and three operands are expected");
  }
  BulkDetail detail;
  detail.space = spaces[0];
  const Address destination = bring_address(decoder, i.operands[0], detail);
  detail.source.space = spaces[1];
  const Address source = bring_address(decoder, i.operands[1], detail.source);
  const Ref bytes = decoder.source(i.operands[2], 32);
  Ref barrier;
  const bool fills = spaces[0] == ptx::Space::kShared;
  if (fills) {
    if (i.operands.size() < 4) decoder.unsupported("the mbarrier is missing");
    detail.barrier.space = ptx::Space::kShared;
    barrier = bring_address(decoder, i.operands[3], detail.barrier).row;
    detail.multicast = i.has("multicast::cluster");
    if (detail.multicast) {
      if (i.operands.size() < 5) decoder.unsupported("the mask of blocks is missing");
      detail.inputs.push_back(decoder.source(i.operands[4], 32));
    }
  }
  Op& op = decoder.emit_handler(fills ? to_shared : to_global);
  op.a = destination.row;
  op.b = source.row;
  op.c = bytes;
  op.e = barrier;
  decoder.detail<BulkDetail>(op) = std::move(detail);
}

}  // namespace

void deliver_bulk(Block& owner, std::uint32_t offset) {
  for (const PendingBulk& pending : owner.bulk) {
    if (pending.mbarrier != offset) continue;
    const BulkCopy& copy = pending.copy;
    std::memcpy(copy.destination, copy.source, copy.bytes);
    mark_shared_written(*pending.target, copy.shared, copy.bytes, true);
    mbarrier_complete_bytes(owner.shared.data() + offset, copy.bytes);
  }
  std::erase_if(owner.bulk,
                [offset](const PendingBulk& pending) { return pending.mbarrier == offset; });
}

void check_abandoned_copies(Context& context, const Op& op, LaneMask lanes) {
  const AsyncCopies& copies = context.warp->copies;
  if (copies.bulk_open.empty() && copies.bulk_groups.empty()) return;
  const auto report = [&](int lane) {
    context.report("unfinished bulk copy", op, lane,
                   "the thread exits without having waited for its copy from shared memory");
  };
  for (const BulkCopy& copy : copies.bulk_open) {
    if ((lanes >> copy.lane & 1) != 0) report(copy.lane);
  }
  for (const BulkGroup& group : copies.bulk_groups) {
    if ((lanes >> group.lane & 1) != 0 && !group.copies.empty()) report(group.lane);
  }
}

bool decode_bulk_copy(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode != "cp" || !i.has("bulk")) return false;
  if (i.has("commit_group")) {
    decoder.emit_handler(commit);
  } else if (i.has("wait_group")) {
    if (i.operands.size() != 1) decoder.unsupported("a number of groups is expected");
    const auto pending = static_cast<std::uint32_t>(decoder.immediate(i.operands[0]));
    decoder.emit_handler(wait_group).immediate = pending;
  } else if (i.has("prefetch") && !i.has("tensor")) {
    decoder.emit_handler(nothing);
  } else if (i.has("async")) {
    decode_copy(decoder);
  } else {
    decoder.unsupported("an unknown form of cp.async.bulk");
  }
  return true;
}

}  // namespace gpusim::execute
