// Meeting of lanes at .sync operations.
#include "execute/warp_sync.hpp"

#include <algorithm>
#include <cstring>

#include "execute/interpreter.hpp"

namespace gpusim::execute {
namespace {

const Op& op_of(const Group& group) {
  return group.code->ops[static_cast<std::size_t>(group.pc)];
}

/// The member mask of a lane: all lanes where the operation has none (mma, ldmatrix).
LaneMask member_of(const Context& context, const Op& op, int lane) {
  return op.e.absent() ? kAllLanes : context.row32(op.e)[lane];
}

void run_now(Context& context, const Op& op, LaneMask mask) {
  context.participants = mask;
  op.handler(context, op, mask);
  if (context.event != Event::kFault) ++context.group->pc;
}

/// Runs an operation that lanes of several groups reached at different places. The values they
/// bring are collected in one row first, since each place names its own register.
void run_jointly(Context& context, Warp& warp, const std::vector<std::size_t>& groups) {
  alignas(64) std::uint64_t collected[kLanes] = {};
  LaneMask all = 0;
  for (const std::size_t g : groups) all |= warp.groups[g].mask;
  const Op& first = op_of(warp.groups[groups.front()]);
  const bool exchanges = !first.a.absent();
  if (exchanges) {
    context.group = &warp.groups[groups.front()];
    context.code = context.group->code;
    context.report("divergent warp operation", first, __builtin_ctz(context.group->mask),
                   "lanes of one member mask execute different instructions");
  }
  const bool wide = first.immediate == 64;
  const bool predicate = first.immediate == 1;
  LaneMask bits = 0;
  for (const std::size_t g : groups) {
    const Group& group = warp.groups[g];
    context.frame = warp.registers.data() + group.frame;
    const Op& op = op_of(group);
    if (op.a.absent()) continue;
    for_lanes(group.mask, [&](int lane) {
      if (predicate) {
        LaneMask value = context.predicate(op.a);
        if (op.negate_a) value = ~value;
        bits |= value & (1u << lane);
      } else if (wide) {
        collected[lane] = context.row64(op.a)[lane];
      } else {
        reinterpret_cast<std::uint32_t*>(collected)[lane] = context.row32(op.a)[lane];
      }
    });
  }
  if (predicate) std::memcpy(collected, &bits, sizeof(bits));
  for (const std::size_t g : groups) {
    Group& group = warp.groups[g];
    context.group = &group;
    context.code = group.code;
    context.frame = warp.registers.data() + group.frame;
    Op op = op_of(group);
    if (!op.a.absent()) op.a = Ref::constant(collected);
    op.negate_a = false;
    context.participants = all;
    op.handler(context, op, group.mask);
    group.state = GroupState::kReady;
    ++group.pc;
  }
}

}  // namespace

void release_parked(Context& context, Warp& warp) {
  for (std::size_t i = 0; i < warp.groups.size(); ++i) {
    if (warp.groups[i].state != GroupState::kParked) continue;
    const LaneMask member = warp.groups[i].member;
    const Op& op = op_of(warp.groups[i]);
    const ptx::Instruction& instruction = warp.groups[i].code->instruction(op);
    std::vector<std::size_t> together;
    LaneMask arrived = 0;
    bool one_place = true;
    for (std::size_t j = 0; j < warp.groups.size(); ++j) {
      const Group& other = warp.groups[j];
      if (other.state != GroupState::kParked || other.member != member) continue;
      const Op& other_op = op_of(other);
      if (other_op.handler != op.handler &&
          other.code->instruction(other_op).opcode != instruction.opcode) {
        continue;
      }
      together.push_back(j);
      arrived |= other.mask;
      one_place = one_place && other.pc == warp.groups[i].pc && other.call == warp.groups[i].call;
    }
    if ((member & warp.live & ~arrived) != 0) continue;
    Group* const group = context.group;
    const std::size_t current = warp.current;
    std::byte* const frame = context.frame;
    const Code* const code = context.code;
    if (one_place) {
      // They merge, and run the operation when their turn comes.
      for (const std::size_t g : together) warp.groups[g].state = GroupState::kReady;
    } else {
      run_jointly(context, warp, together);
    }
    context.group = group;
    warp.current = current;
    context.frame = frame;
    context.code = code;
    if (context.event != Event::kFault) context.event = Event::kReschedule;
  }
}

void run_sync(Context& context, const Op& op, LaneMask mask) {
  Warp& warp = *context.warp;
  const LaneMask member = member_of(context, op, __builtin_ctz(mask));
  bool uniform = true;
  if (op.e.in_frame()) {
    const std::uint32_t* members = context.row32(op.e);
    for_lanes(mask, [&](int lane) { uniform = uniform && members[lane] == member; });
  }
  if (uniform && (member & warp.live & ~mask) == 0) [[likely]] {
    if ((mask & ~member) != 0) {
      context.report("wrong member mask", op, __builtin_ctz(mask & ~member),
                     "the lane is not in the member mask that it gives");
    }
    run_now(context, op, mask);
    return;
  }
  // Lanes with different masks: those whose partners are all here run now, the others park.
  LaneMask complete = 0;
  LaneMask rest = mask;
  std::vector<std::pair<LaneMask, LaneMask>> waiting;  // member mask, lanes
  while (rest != 0) {
    const LaneMask wanted = member_of(context, op, __builtin_ctz(rest));
    LaneMask same = 0;
    for_lanes(rest, [&](int lane) {
      if (member_of(context, op, lane) == wanted) same |= 1u << lane;
    });
    rest &= ~same;
    if ((wanted & warp.live & ~same) == 0) {
      complete |= same;
    } else {
      waiting.push_back({wanted, same});
    }
  }
  const std::int32_t pc = context.group->pc;
  if (complete != 0) {
    split_off_rest(context, complete, pc);
    run_now(context, op, complete);
    if (context.event == Event::kFault) return;
    context.event = Event::kReschedule;
    // The lanes left behind come here again as a group of their own.
    return;
  }
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const auto& [wanted, lanes] = waiting[i];
    if (i + 1 < waiting.size()) split_off_rest(context, lanes, pc);
    context.group->state = GroupState::kParked;
    context.group->member = wanted;
    if (i + 1 < waiting.size()) {
      warp.current = warp.groups.size() - 1;
      context.group = &warp.groups[warp.current];
    }
  }
  context.event = Event::kReschedule;
  release_parked(context, warp);
}

}  // namespace gpusim::execute
