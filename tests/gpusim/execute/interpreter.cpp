// The loop over micro-operations. It keeps the place of the current group in local variables and
// looks at other groups only where a basic block begins, which is where lanes can meet again.
#include "execute/interpreter.hpp"

#include <algorithm>

#include "execute/async.hpp"
#include "execute/barrier.hpp"
#include "execute/warp_sync.hpp"

namespace gpusim::execute {
namespace {

/// Backward branches after which a group lets others of its warp run.
constexpr std::uint32_t kFairness = 256;

/// Order in which diverged groups run: by their place in the outermost function where they differ.
/// Negative: a first.
int compare_places(const Group& a, const Group& b) {
  const CallFrame* fa = a.call;
  const CallFrame* fb = b.call;
  std::int32_t pa = a.pc, pb = b.pc;
  const auto up = [](const CallFrame*& frame, std::int32_t& pc) {
    pc = static_cast<std::int32_t>(frame->call - frame->code->ops.data());
    frame = frame->parent;
  };
  const int da = fa == nullptr ? 0 : fa->depth, db = fb == nullptr ? 0 : fb->depth;
  for (int d = da; d > db; --d) up(fa, pa);
  for (int d = db; d > da; --d) up(fb, pb);
  while (fa != fb) {
    up(fa, pa);
    up(fb, pb);
  }
  if (pa != pb) return pa < pb ? -1 : 1;
  return da < db ? -1 : da > db ? 1 : 0;
}

/// Merges groups that stand at the same operation of the same call.
void merge_groups(Warp& warp) {
  for (std::size_t i = 0; i < warp.groups.size(); ++i) {
    for (std::size_t j = i + 1; j < warp.groups.size();) {
      Group& a = warp.groups[i];
      Group& b = warp.groups[j];
      if (a.pc == b.pc && a.call == b.call && a.code == b.code && a.state == GroupState::kReady &&
          b.state == GroupState::kReady) {
        a.mask |= b.mask;
        a.yielded = a.yielded && b.yielded;
        if (b.call != nullptr) warp.release(b.call);
        warp.groups.erase(warp.groups.begin() + static_cast<std::ptrdiff_t>(j));
      } else {
        ++j;
      }
    }
  }
}

/// Chooses the group to run: the first in program order that is ready and has not yielded.
bool choose_group(Warp& warp) {
  if (warp.groups.size() > 1) merge_groups(warp);
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::size_t best = warp.groups.size();
    for (std::size_t i = 0; i < warp.groups.size(); ++i) {
      const Group& group = warp.groups[i];
      if (group.state != GroupState::kReady || group.yielded) continue;
      if (best == warp.groups.size() || compare_places(group, warp.groups[best]) < 0) best = i;
    }
    if (best < warp.groups.size()) {
      warp.current = best;
      return true;
    }
    for (Group& group : warp.groups) {
      group.yielded = false;
      group.backward = 0;
    }
  }
  return false;
}

}  // namespace

bool runnable(const Warp& warp) {
  for (const Group& group : warp.groups) {
    if (group.state == GroupState::kReady) return true;
  }
  return false;
}

void split_off_rest(Context& context, LaneMask mask, std::int32_t pc) {
  Warp& warp = *context.warp;
  Group rest = *context.group;
  rest.mask &= ~mask;
  rest.pc = pc;
  rest.state = GroupState::kReady;
  if (rest.mask == 0) return;
  context.group->mask &= mask;
  if (rest.call != nullptr) ++rest.call->references;
  warp.groups.push_back(rest);
  context.group = &warp.groups[warp.current];
}

void release_barrier(Warp& warp, std::int32_t barrier) {
  for (Group& group : warp.groups) {
    if (group.state == GroupState::kBarrier && group.barrier == barrier) {
      group.state = GroupState::kReady;
      ++group.pc;
    }
  }
}

void exit_lanes(Context& context, Warp& warp, LaneMask mask) {
  warp.live &= ~mask;
  Block& block = *context.block;
  block.live_threads -= static_cast<std::uint32_t>(__builtin_popcount(mask));
  for (std::size_t i = 0; i < warp.groups.size();) {
    Group& group = warp.groups[i];
    group.mask &= ~mask;
    if (group.mask == 0) {
      if (group.call != nullptr) warp.release(group.call);
      warp.groups.erase(warp.groups.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  if (warp.live == 0) --block.live_warps;
  release_parked(context, warp);
  threads_exited(context);
}

Turn run_warp(Context& context, Warp& warp, std::int64_t budget) {
  context.warp = &warp;
  bool spun = false;
  std::uint64_t instructions = 0, lanes = 0;
  const auto leave = [&](Turn turn) {
    context.counters.warp_instructions += instructions;
    context.counters.lane_instructions += lanes;
    return turn;
  };

  while (true) {
    if (warp.done()) return leave(Turn::kDone);
    if (!choose_group(warp)) return leave(Turn::kBlocked);
    Group* group = &warp.groups[warp.current];
    context.group = group;
    context.code = group->code;
    context.frame = warp.registers.data() + group->frame;
    context.event = Event::kNone;
    const Op* const ops = group->code->ops.data();
    std::byte* const frame = context.frame;
    const bool alone = warp.groups.size() == 1;
    std::int32_t pc = group->pc;
    LaneMask mask = group->mask;
    const std::int32_t entered = pc;

    const unsigned group_lanes = static_cast<unsigned>(__builtin_popcount(mask));
    const std::uintptr_t bases[2] = {0, reinterpret_cast<std::uintptr_t>(frame) - 1};
    AluOperands operands;
    operands.carry = &warp.carry;

    while (true) {
      const Op& op = ops[pc];
      if (!alone && op.starts_block && pc != entered) {
        group->pc = pc;
        break;
      }
      if (op.kind == Kind::kPlainAlu) [[likely]] {
        operands.d = op.d.resolve(bases);
        operands.a = op.a.resolve(bases);
        operands.b = op.b.resolve(bases);
        operands.c = op.c.resolve(bases);
        op.alu(operands, mask);
        ++instructions;
        lanes += group_lanes;
        ++pc;
        continue;
      }
      LaneMask active = mask;
      if (op.guard >= 0) {
        const LaneMask value = *reinterpret_cast<const LaneMask*>(frame + op.guard);
        active &= op.guard_negated ? ~value : value;
      }
      if (op.counted) {
        ++instructions;
        // Counting bits is a call on baseline x86-64.
        lanes += active == mask ? group_lanes : static_cast<unsigned>(__builtin_popcount(active));
      }
      if (op.kind == Kind::kAlu) {
        if (active != 0) {
          AluOperands all;
          all.d = op.d.resolve(bases);
          all.d2 = op.d2.resolve(bases);
          all.a = op.a.resolve(bases);
          all.b = op.b.resolve(bases);
          all.c = op.c.resolve(bases);
          all.e = op.e.resolve(bases);
          all.carry = &warp.carry;
          all.immediate = op.immediate;
          all.negate_a = op.negate_a;
          all.negate_b = op.negate_b;
          all.negate_c = op.negate_c;
          op.alu(all, active);
        }
        ++pc;
        continue;
      }
      if (op.kind == Kind::kHandler) {
        if (active != 0) {
          op.handler(context, op, active);
          if (context.event != Event::kNone) [[unlikely]] {
            if (context.event == Event::kFault) {
              group->pc = pc;
              return leave(Turn::kFault);
            }
            group->pc = pc + 1;
            group->yielded = true;
            spun = true;
            context.event = Event::kNone;
            // With company in the warp the others run first; alone, the warp gives up its turn.
            bool others = false;
            for (const Group& other : warp.groups) {
              others = others || (other.state == GroupState::kReady && !other.yielded);
            }
            if (others) break;
            return leave(Turn::kSpinning);
          }
        }
        ++pc;
        continue;
      }
      if (op.kind == Kind::kBranch) {
        if (active == mask || active == 0) [[likely]] {
          const std::int32_t to = active != 0 ? op.target : op.next;
          if (to <= pc) {
            budget -= pc - to + 1;
            if (budget < 0) {
              group->pc = to;
              return leave(spun ? Turn::kSpinning : Turn::kSlice);
            }
            if (!alone && ++group->backward > kFairness) {
              group->backward = 0;
              group->yielded = true;
              group->pc = to;
              break;
            }
          }
          pc = to;
          // Alone a block begins as any operation does; with company the check above runs.
          if (!alone && pc == entered) {
            group->pc = pc;
            break;
          }
          continue;
        }
        ++context.counters.divergent_branches;
        group->pc = op.target;
        split_off_rest(context, active, op.next);
        break;
      }
      group->pc = pc;
      switch (op.kind) {
        case Kind::kJump:
          group->pc = op.next;
          if (op.next <= pc) budget -= pc - op.next + 1;
          if (budget < 0) return leave(Turn::kSlice);
          if (alone) {
            pc = op.next;
            continue;
          }
          break;
        case Kind::kSync:
          if (active == 0) {
            group->pc = pc + 1;
          } else {
            if (active != mask) split_off_rest(context, active, pc + 1);
            run_sync(context, op, active);
          }
          if (context.event == Event::kFault) return leave(Turn::kFault);
          if (context.event == Event::kNone && alone && warp.groups.size() == 1) {
            pc = context.group->pc;
            continue;
          }
          break;
        case Kind::kBlocking:
          if (active == 0) {
            group->pc = pc + 1;
          } else {
            if (active != mask) split_off_rest(context, active, pc + 1);
            op.handler(context, op, active);
          }
          if (context.event == Event::kFault) return leave(Turn::kFault);
          break;
        case Kind::kBranchTable: {
          if (active != mask) split_off_rest(context, active, op.next);
          const std::uint32_t* index = context.row32(op.a);
          const auto& targets = op.as<BranchTable>().targets;
          if (active == 0) {
            group->pc = op.next;
            break;
          }
          const std::uint32_t first = index[__builtin_ctz(active)];
          LaneMask same = 0;
          for_lanes(active, [&](int lane) {
            if (index[lane] == first) same |= 1u << lane;
          });
          if (same != active) split_off_rest(context, same, pc);
          if (first >= targets.size()) {
            context.fail(Fault::kTrap, op, __builtin_ctz(same),
                         "brx.idx index " + std::to_string(first) + " is beyond its table");
            return leave(Turn::kFault);
          }
          context.group->pc = targets[first];
          budget -= 8;
          break;
        }
        case Kind::kCall:
          if (active == 0) {
            group->pc = op.next;
          } else {
            if (active != mask) split_off_rest(context, active, op.next);
            enter_call(context, op, active);
          }
          budget -= 8;
          if (context.event == Event::kFault) return leave(Turn::kFault);
          break;
        case Kind::kReturn:
          if (active == 0) {
            group->pc = op.next;
          } else {
            if (active != mask) split_off_rest(context, active, op.next);
            leave_call(context, op, active);
          }
          break;
        case Kind::kExit:
          if (active != mask) {
            group->pc = op.next;
          }
          if (active != 0) {
            check_abandoned_copies(context, op, active);
            exit_lanes(context, warp, active);
          }
          break;
        default:
          break;
      }
      break;
    }
    if (budget < 0) return leave(Turn::kSlice);
  }
}

}  // namespace gpusim::execute
