// Barriers count threads, not warps: diverged lanes may arrive one group at a time, and threads
// that have exited are not waited for. A barrier's phase ends at once for all; a new one may begin
// before late lanes of the old one have gone on.
#include "execute/barrier.hpp"

#include "execute/decode/decoder.hpp"
#include "execute/interpreter.hpp"

namespace gpusim::execute {
namespace {

enum class Reduction : std::uint8_t { kNone, kPopc, kAnd, kOr };

struct BarrierDetail : Detail {
  bool aligned = true;
  bool waits = true;  ///< false: arrive only
  Reduction reduction = Reduction::kNone;
  bool predicate_result = false;
};

const Op& op_of(const Group& group) {
  return group.code->ops[static_cast<std::size_t>(group.pc)];
}

/// Lanes of the warp that stand directly before exit leave now: they would not come to a barrier.
void let_leaving_lanes_exit(Context& context) {
  Warp& warp = *context.warp;
  LaneMask leaving = 0;
  for (const Group& group : warp.groups) {
    const Op& op = op_of(group);
    const bool ends = op.kind == Kind::kExit && op.guard < 0;
    if (ends && group.state == GroupState::kReady) leaving |= group.mask;
  }
  if (leaving == 0) return;
  const LaneMask mine = context.group->mask;
  exit_lanes(context, warp, leaving);
  for (std::size_t i = 0; i < warp.groups.size(); ++i) {
    if (warp.groups[i].mask == mine) {
      warp.current = i;
      context.group = &warp.groups[i];
    }
  }
}

bool complete(const Block& block, const NamedBarrier& barrier) {
  if (barrier.arrived == 0) return false;
  if (barrier.expected == 0) return barrier.arrived >= block.live_threads;
  // A count names whole warps: lanes that do not exist or have exited come with their warp.
  std::uint32_t count = 0;
  for (int w = 0; w < block.warp_count; ++w) {
    const LaneMask lanes = barrier.warps[static_cast<std::size_t>(w)].lanes;
    if (lanes == 0) continue;
    const LaneMask live = block.warps[static_cast<std::size_t>(w)]->live;
    count += static_cast<std::uint32_t>(__builtin_popcount(lanes | ~live));
  }
  return count >= barrier.expected;
}

void check_divergence(Context& context, const NamedBarrier& barrier, int id) {
  Block& block = *context.block;
  for (int w = 0; w < block.warp_count; ++w) {
    const WarpArrival& arrival = barrier.warps[static_cast<std::size_t>(w)];
    if (!arrival.aligned) continue;
    Warp& warp = *block.warps[static_cast<std::size_t>(w)];
    const Op* place = nullptr;
    int lane = 0;
    std::string problem;
    Group* reporter = nullptr;
    for (Group& group : warp.groups) {
      if (group.state != GroupState::kBarrier || group.barrier != id) continue;
      const Op& op = op_of(group);
      if (place == nullptr) {
        place = &op;
        lane = __builtin_ctz(group.mask);
        reporter = &group;
      } else if (place != &op) {
        problem = "lanes of one warp wait at different instructions, the other at " +
                  place_of(*context.launch.program->module, group.code->instruction(op));
      }
    }
    const LaneMask absent = arrival.live_at_first & ~arrival.lanes;
    if (problem.empty() && absent != 0 && place != nullptr) {
      problem = "not all lanes of the warp came to it: mask " + std::to_string(arrival.lanes) +
                ", lane " + std::to_string(__builtin_ctz(absent)) + " went elsewhere";
    }
    if (problem.empty()) continue;
    Warp* const current_warp = context.warp;
    Group* const current_group = context.group;
    const Code* const code = context.code;
    context.warp = &warp;
    context.group = reporter;
    context.code = reporter->code;
    context.report("divergent barrier", *place, lane, problem);
    context.warp = current_warp;
    context.group = current_group;
    context.code = code;
  }
}

void deliver_reduction(Warp& warp, const Group& group, const NamedBarrier& barrier) {
  const Op& op = op_of(group);
  const BarrierDetail& detail = op.as<BarrierDetail>();
  if (detail.reduction == Reduction::kNone) return;
  std::byte* frame = warp.registers.data() + group.frame;
  std::uint32_t value = barrier.predicates;
  if (detail.reduction == Reduction::kAnd) value = barrier.predicates == barrier.reducing;
  if (detail.reduction == Reduction::kOr) value = barrier.predicates != 0;
  if (detail.predicate_result) {
    LaneMask& d = *reinterpret_cast<LaneMask*>(op.d.resolve(frame));
    d = (d & ~group.mask) | (value != 0 ? group.mask : 0);
  } else {
    auto* d = reinterpret_cast<std::uint32_t*>(op.d.resolve(frame));
    for_lanes(group.mask, [&](int lane) { d[lane] = value; });
  }
}

void open_if_complete(Context& context, int id) {
  Block& block = *context.block;
  NamedBarrier& barrier = block.barriers[id];
  if (!complete(block, barrier)) return;
  if (context.launch.options.check_barriers) check_divergence(context, barrier, id);
  std::uint64_t arrived = 0, waiting = 0;
  for (int w = 0; w < block.warp_count; ++w) {
    Warp& warp = *block.warps[static_cast<std::size_t>(w)];
    if (barrier.warps[static_cast<std::size_t>(w)].lanes != 0) arrived |= 1ULL << w;
    for (const Group& group : warp.groups) {
      if (group.state == GroupState::kBarrier && group.barrier == id) {
        deliver_reduction(warp, group, barrier);
        waiting |= 1ULL << w;
      }
    }
    release_barrier(warp, id);
  }
  block.races.meet(arrived, waiting);
  block.peers.meet(arrived, waiting);
  ++context.counters.barriers;
  ++barrier.phase;
  barrier.arrived = barrier.expected = barrier.predicates = barrier.reducing = 0;
  for (WarpArrival& arrival : barrier.warps) arrival = WarpArrival{};
}

void arrive(Context& context, const Op& op, LaneMask mask) {
  const BarrierDetail& detail = op.as<BarrierDetail>();
  const std::uint32_t* ids = context.row32(op.a);
  const std::uint32_t id = ids[__builtin_ctz(mask)];
  LaneMask same = 0;
  for_lanes(mask, [&](int lane) {
    if (ids[lane] == id) same |= 1u << lane;
  });
  if (same != mask) {
    split_off_rest(context, same, context.group->pc);
    mask = same;
  }
  if (id >= 16) {
    context.fail(Fault::kIllegalInstruction, op, __builtin_ctz(mask),
                 "barrier " + std::to_string(id) + " does not exist (0 to 15 do)");
    return;
  }
  if (context.warp->groups.size() > 1) let_leaving_lanes_exit(context);
  Block& block = *context.block;
  NamedBarrier& barrier = block.barriers[id];
  std::uint32_t expected = 0;
  if (!op.b.absent()) {
    expected = context.row32(op.b)[__builtin_ctz(mask)];
    if (expected == 0 || expected % kLanes != 0 || expected > 1024) {
      context.fail(Fault::kIllegalInstruction, op, __builtin_ctz(mask),
                   "a barrier for " + std::to_string(expected) +
                       " threads: the count must be a multiple of 32");
      return;
    }
  }
  if (barrier.arrived != 0 && barrier.expected != expected &&
      context.launch.options.check_barriers) {
    context.report("barrier with different counts", op, __builtin_ctz(mask),
                   "barrier " + std::to_string(id) + " was entered for " +
                       std::to_string(barrier.expected) + " threads and now for " +
                       std::to_string(expected) + " (0: all)");
  }
  barrier.expected = expected;
  const auto threads = static_cast<std::uint32_t>(__builtin_popcount(mask));
  barrier.arrived += threads;
  WarpArrival& arrival = barrier.warps[static_cast<std::size_t>(context.warp->index)];
  if (arrival.lanes == 0) arrival.live_at_first = context.warp->live;
  arrival.lanes |= mask;
  arrival.aligned = arrival.aligned || detail.aligned;
  if (detail.reduction != Reduction::kNone) {
    LaneMask value = context.predicate(op.c);
    if (op.negate_c) value = ~value;
    barrier.predicates += static_cast<std::uint32_t>(__builtin_popcount(value & mask));
    barrier.reducing += threads;
  }
  if (detail.waits) {
    context.group->state = GroupState::kBarrier;
    context.group->barrier = static_cast<std::int32_t>(id);
  } else {
    ++context.group->pc;
  }
  open_if_complete(context, static_cast<int>(id));
}

void warp_sync(Context& context, const Op&, LaneMask) {
  context.block->races.warp_sync(context.warp->index);
  context.block->peers.warp_sync(context.warp->index);
}

// barrier.cluster

void cluster_arrive(Context& context, const Op&, LaneMask mask) {
  context.block->cluster_arrived += static_cast<std::uint32_t>(__builtin_popcount(mask));
  context.warp->cluster_lanes |= mask;
  ++context.group->pc;
  context.block->races.release(context.warp->index);
  cluster_progress(context);
}

void cluster_wait(Context& context, const Op&, LaneMask mask) {
  // Lanes whose phase has ended since they arrived pass.
  const LaneMask waiting = mask & context.warp->cluster_lanes;
  if (waiting != 0 && waiting != mask) {
    split_off_rest(context, waiting, context.group->pc + 1);
  }
  if (waiting == 0) {
    ++context.group->pc;
    return;
  }
  context.group->state = GroupState::kBarrier;
  context.group->barrier = kClusterBarrier;
}

void decode_cluster_barrier(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.has("arrive")) {
    decoder.emit_handler(cluster_arrive, Kind::kBlocking);
  } else if (i.has("wait")) {
    decoder.emit_handler(cluster_wait, Kind::kBlocking);
  } else {
    decoder.unsupported("barrier.cluster has arrive and wait");
  }
}

void decode_warp_sync(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.size() != 1) decoder.unsupported("a member mask is expected");
  const Ref member = decoder.source(i.operands[0], 32);
  decoder.emit_handler(warp_sync, Kind::kSync).e = member;
}

}  // namespace

void cluster_progress(Context& context) {
  Block& block = *context.block;
  std::uint32_t arrived = block.cluster_arrived, live = block.live_threads;
  for (Block* other : block.cluster) {
    if (other == &block) continue;
    arrived += other->cluster_arrived;
    live += other->live_threads;
  }
  if (arrived == 0 || arrived < live) return;
  const auto open = [](Block& member) {
    member.cluster_arrived = 0;
    ++member.cluster_phase;
    for (int w = 0; w < member.warp_count; ++w) {
      member.warps[static_cast<std::size_t>(w)]->cluster_lanes = 0;
      release_barrier(*member.warps[static_cast<std::size_t>(w)], kClusterBarrier);
    }
    const std::uint64_t all = ~0ULL >> (64 - member.warp_count);
    member.races.meet(all, all);
    member.peers.meet(all, all);
  };
  if (block.cluster.empty()) open(block);
  std::vector<PeerBlock*> peers;
  for (Block* other : block.cluster) {
    open(*other);
    peers.push_back(&other->peers);
  }
  PeerBlock::meet_blocks(peers);
}

void threads_exited(Context& context) {
  for (int id = 0; id < 16; ++id) open_if_complete(context, id);
  cluster_progress(context);
}

bool decode_barrier(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode != "bar" && i.opcode != "barrier") return false;
  if (i.has("cluster")) {
    decode_cluster_barrier(decoder);
    return true;
  }
  if (i.has("warp")) {
    decode_warp_sync(decoder);
    return true;
  }
  BarrierDetail settings;
  settings.aligned = i.opcode == "bar" || i.has("aligned");
  settings.waits = !i.has("arrive");
  std::size_t next = 0;
  Ref d, predicate;
  bool negated = false;
  std::size_t count = i.operands.size();
  if (i.has("red")) {
    settings.reduction = i.has("popc")  ? Reduction::kPopc
                         : i.has("and") ? Reduction::kAnd
                         : i.has("or")  ? Reduction::kOr
                                        : Reduction::kNone;
    if (settings.reduction == Reduction::kNone || count < 3) {
      decoder.unsupported("bar.red has popc, and, or");
    }
    settings.predicate_result = settings.reduction != Reduction::kPopc;
    d = decoder.destination(i.operands[next++], settings.predicate_result ? 1 : 32);
    const ptx::Operand& p = i.operands[--count];
    predicate = decoder.source(p, 1);
    negated = p.negated;
  } else if (!i.has("sync") && !i.has("arrive")) {
    decoder.unsupported("sync, arrive and red are known");
  }
  if (next >= count) decoder.unsupported("the barrier's number is missing");
  const Ref id = decoder.source(i.operands[next++], 32);
  Ref threads;
  if (next < count) threads = decoder.source(i.operands[next], 32);
  Op& op = decoder.emit_handler(arrive, Kind::kBlocking);
  static_cast<BarrierDetail&>(decoder.detail<BarrierDetail>(op)) = settings;
  op.a = id;
  op.b = threads;
  op.c = predicate;
  op.negate_c = negated;
  op.d = d;
  return true;
}

}  // namespace gpusim::execute
