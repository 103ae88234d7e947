// cp.async: copies of 4 to 16 bytes per lane from global to shared memory, in groups.
#include "execute/async_copy.hpp"

#include <algorithm>
#include <cstring>

#include "execute/async.hpp"
#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

struct CopyDetail : MemoryDetail {
  std::uint8_t bytes = 4;
  std::int64_t source_offset = 0;
  bool wide_source = true;
  int ignore = 0;  ///< 1: op.c is a predicate that makes the lane copy zeros; 2: negated
};

void start_copy(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<CopyDetail>();
  Addresses destination;
  collect_addresses(context, op, detail, mask, destination);
  if (detail.space == ptx::Space::kGeneric) {
    by_space(context, mask, destination.at, [](ptx::Space, LaneMask) { return true; });
  }
  AsyncCopy copy;
  copy.sequence = context.warp->copies.sequence++;
  copy.lanes = mask;
  copy.bytes = detail.bytes;
  Addresses source;
  LaneMask whole = 0;
  for_lanes(mask, [&](int lane) {
    source.at[lane] =
        detail.source_offset +
        (detail.wide_source ? context.row64(op.b)[lane] : std::uint64_t{context.row32(op.b)[lane]});
    std::uint32_t bytes = detail.bytes;
    if (detail.ignore != 0) {
      const bool ignored = (context.predicate(op.c) >> lane & 1) != 0;
      if (ignored == (detail.ignore == 1)) bytes = 0;
    } else if (!op.c.absent()) {
      bytes = std::min<std::uint32_t>(context.row32(op.c)[lane], detail.bytes);
    }
    copy.source_bytes[lane] = static_cast<std::uint8_t>(bytes);
    if (bytes == detail.bytes) whole |= 1u << lane;
  });
  std::byte* place[kLanes] = {};
  if (whole != 0) {
    MemoryDetail read;
    read.space = ptx::Space::kGlobal;
    read.width = read.element_bytes = detail.bytes;
    read.used = false;
    read.site = detail.site;
    if (!resolve_global(context, op, read, whole, source.at, place)) return;
  }
  for_lanes(mask & ~whole, [&](int lane) {
    if (context.event == Event::kFault || copy.source_bytes[lane] == 0) return;
    place[lane] =
        resolve_global_range(context, op, lane, source.at[lane], copy.source_bytes[lane], false, 1);
  });
  if (context.event == Event::kFault) return;
  Block& block = *context.block;
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    copy.source[lane] = place[lane];
    copy.destination[lane] = static_cast<std::uint32_t>(destination.at[lane]);
    std::byte* target = resolve_shared_range(context, op, lane, destination.at[lane], detail.bytes,
                                             true, detail.bytes);
    if (target == nullptr) return;
    // Whoever reads before the wait sees this.
    std::memset(target, 0xcb, detail.bytes);
    mark_shared_written(block, destination.at[lane], detail.bytes, false);
  });
  if (context.event == Event::kFault) return;
  if (context.launch.options.count_sectors) {
    count_banks(context, detail.bytes, mask, destination.at);
  }
  context.warp->copies.open.push_back(copy);
}

/// Performs the part of a copy that belongs to `lanes`.
void deliver(Block& block, Warp& warp, AsyncCopy& copy, LaneMask lanes) {
  lanes &= copy.lanes;
  copy.lanes &= ~lanes;
  for_lanes(lanes, [&](int lane) {
    std::byte* target = block.shared.data() + copy.destination[lane];
    const std::size_t bytes = copy.source_bytes[lane];
    if (bytes != 0) std::memcpy(target, copy.source[lane], bytes);
    std::memset(target + bytes, 0, copy.bytes - bytes);
    mark_shared_written(block, copy.destination[lane], copy.bytes, true);
    block.races.access(warp.index, lane, copy.destination[lane], copy.bytes,
                       check::SharedAccess::kWrite);
  });
}

void commit(Context& context, const Op&, LaneMask mask) {
  AsyncCopies& copies = context.warp->copies;
  AsyncGroup group;
  group.lanes = mask;
  for (AsyncCopy& copy : copies.open) {
    if ((copy.lanes & mask) == 0) continue;
    group.copies.push_back(copy);
    group.copies.back().lanes &= mask;
    copy.lanes &= ~mask;
  }
  std::erase_if(copies.open, [](const AsyncCopy& copy) { return copy.lanes == 0; });
  copies.groups.push_back(std::move(group));
}

/// Completes all groups of the lanes but the latest `pending`.
void wait_groups(Context& context, LaneMask mask, std::uint32_t pending) {
  Warp& warp = *context.warp;
  std::uint32_t newer[kLanes] = {};
  std::deque<AsyncGroup>& groups = warp.copies.groups;
  for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
    LaneMask due = 0;
    for_lanes(group->lanes & mask, [&](int lane) {
      if (newer[lane]++ >= pending) due |= 1u << lane;
    });
    if (due == 0) continue;
    for (AsyncCopy& copy : group->copies) deliver(*context.block, warp, copy, due);
    group->lanes &= ~due;
  }
  std::erase_if(groups, [](const AsyncGroup& group) { return group.lanes == 0; });
}

void wait_group(Context& context, const Op& op, LaneMask mask) {
  wait_groups(context, mask, op.immediate);
}

void wait_all(Context& context, const Op&, LaneMask mask) {
  wait_groups(context, mask, 0);
  Warp& warp = *context.warp;
  for (AsyncCopy& copy : warp.copies.open) deliver(*context.block, warp, copy, mask);
  std::erase_if(warp.copies.open, [](const AsyncCopy& copy) { return copy.lanes == 0; });
}

void arrive_later(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<CopyDetail>();
  Addresses barrier;
  collect_addresses(context, op, detail, mask, barrier);
  if (detail.space == ptx::Space::kGeneric) {
    by_space(context, mask, barrier.at, [](ptx::Space, LaneMask) { return true; });
  }
  AsyncCopies& copies = context.warp->copies;
  for_lanes(mask, [&](int lane) {
    if (context.event == Event::kFault) return;
    std::byte* place = mbarrier_place(context, op, lane, barrier.at[lane]);
    if (place == nullptr) return;
    if (op.immediate == 0) mbarrier_add_pending(place);  // without .noinc
    copies.arrivals.push_back(
        {copies.sequence, lane, static_cast<std::uint32_t>(barrier.at[lane])});
  });
  context.block->races.release(context.warp->index);
  context.block->peers.shared_release(context.warp->index);
}

void decode_copy(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.size() < 3) decoder.unsupported("two addresses and a size are expected");
  CopyDetail detail;
  detail.space = ptx::Space::kShared;
  const Address destination = bring_address(decoder, i.operands[0], detail);
  const Address source = decoder.address(i.operands[1]);
  detail.bytes = static_cast<std::uint8_t>(decoder.immediate(i.operands[2]));
  if (detail.bytes != 4 && detail.bytes != 8 && detail.bytes != 16) {
    decoder.unsupported("4, 8 or 16 bytes are copied");
  }
  detail.width = detail.bytes;
  detail.source_offset = source.offset;
  detail.wide_source = source.wide || source.row.absent();
  Ref from = source.row;
  if (from.absent()) from = decoder.constant(0, 64);
  Ref size;
  const bool hint = i.has("L2::cache_hint");
  if (i.operands.size() > (hint ? 4u : 3u)) {
    const ptx::Operand& operand = i.operands[3];
    if (decoder.width(operand) == 1) {
      detail.ignore = operand.negated ? 2 : 1;
      size = decoder.source(operand, 1);
    } else {
      size = decoder.source(operand, 32);
    }
  }
  detail.site = decoder.new_site();
  Op& op = decoder.emit_handler(start_copy);
  op.a = destination.row;
  op.b = from;
  op.c = size;
  decoder.detail<CopyDetail>(op) = detail;
}

void decode_arrive(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.size() != 1) decoder.unsupported("an address is expected");
  CopyDetail detail;
  detail.space = memory_space(decoder);
  const Address barrier = bring_address(decoder, i.operands[0], detail);
  Op& op = decoder.emit_handler(arrive_later);
  op.a = barrier.row;
  op.immediate = i.has("noinc") ? 1 : 0;
  decoder.detail<CopyDetail>(op) = detail;
}

}  // namespace

void deliver_lane(Block& block, Warp& warp, int lane, std::uint64_t sequence) {
  const LaneMask bit = 1u << lane;
  for (AsyncGroup& group : warp.copies.groups) {
    for (AsyncCopy& copy : group.copies) {
      if (copy.sequence < sequence) deliver(block, warp, copy, bit);
    }
  }
  for (AsyncCopy& copy : warp.copies.open) {
    if (copy.sequence < sequence) deliver(block, warp, copy, bit);
  }
}

void deliver_for(Context& context, Block& owner, std::uint32_t offset) {
  (void)context;
  for (int w = 0; w < owner.warp_count; ++w) {
    Warp& warp = *owner.warps[static_cast<std::size_t>(w)];
    std::vector<AsyncArrival>& arrivals = warp.copies.arrivals;
    for (const AsyncArrival& arrival : arrivals) {
      if (arrival.barrier != offset) continue;
      deliver_lane(owner, warp, arrival.lane, arrival.sequence);
      owner.races.release(warp.index);
      owner.peers.shared_release(warp.index);
      mbarrier_arrive(owner.shared.data() + offset, 1);
    }
    std::erase_if(arrivals, [offset](const AsyncArrival& a) { return a.barrier == offset; });
  }
  deliver_bulk(owner, offset);
}

bool decode_async_copy(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode != "cp" || !i.has("async") || i.has("bulk")) return false;
  if (i.has("commit_group")) {
    decoder.emit_handler(commit);
  } else if (i.has("wait_group")) {
    if (i.operands.size() != 1) decoder.unsupported("a number of groups is expected");
    const auto pending = static_cast<std::uint32_t>(decoder.immediate(i.operands[0]));
    decoder.emit_handler(wait_group).immediate = pending;
  } else if (i.has("wait_all")) {
    decoder.emit_handler(wait_all);
  } else if (i.has("arrive")) {
    decode_arrive(decoder);
  } else if (i.has("ca") || i.has("cg")) {
    decode_copy(decoder);
  } else {
    decoder.unsupported("an unknown form of cp.async");
  }
  return true;
}

}  // namespace gpusim::execute
