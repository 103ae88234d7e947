// Register allocation: PTX has a new register for every value, thousands of them, and 128 bytes per
// register and warp would not stay in the cache. Liveness over the blocks in their final order,
// then a linear scan over intervals. A write under a guard leaves some lanes' old values in place,
// so it does not end the life of what was there. Lanes that have diverged share rows without harm,
// since each operation writes its own lanes only.
#include <algorithm>
#include <queue>

#include "execute/decode/decoder.hpp"

namespace gpusim::execute {
namespace {

struct Span {
  int first = 0, last = 0;  ///< operations of a block
  std::vector<int> successors;
};

struct Interval {
  int first = -1, last = -1;
  void extend(int at) {
    if (first < 0 || at < first) first = at;
    if (at > last) last = at;
  }
};

std::vector<Span> spans_of(const std::vector<Op>& ops) {
  std::vector<Span> spans;
  std::vector<int> span_at(ops.size() + 1, -1);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i].starts_block) {
      if (!spans.empty()) spans.back().last = static_cast<int>(i);
      spans.push_back({static_cast<int>(i), static_cast<int>(ops.size()), {}});
    }
    span_at[i] = static_cast<int>(spans.size()) - 1;
  }
  for (Span& span : spans) {
    const Op& op = ops[static_cast<std::size_t>(span.last) - 1];
    const auto add = [&](std::int32_t target) {
      if (target >= 0 && target < static_cast<std::int32_t>(ops.size())) {
        span.successors.push_back(span_at[static_cast<std::size_t>(target)]);
      }
    };
    const bool guarded = op.guard >= 0;
    if (op.kind == Kind::kBranch) add(op.target);
    if (op.kind == Kind::kBranchTable) {
      for (const std::int32_t target : op.as<BranchTable>().targets) add(target);
    }
    const bool ends = op.kind == Kind::kBranch || op.kind == Kind::kBranchTable ||
                      op.kind == Kind::kReturn || op.kind == Kind::kExit;
    if (!ends || guarded) add(op.next);
  }
  return spans;
}

class Liveness {
 public:
  Liveness(std::vector<Op>& ops, std::size_t registers) : ops_(ops), intervals_(registers) {}

  std::vector<Interval> run() {
    const std::vector<Span> spans = spans_of(ops_);
    number_global_registers(spans);
    solve(spans);
    for (std::size_t s = 0; s < spans.size(); ++s) {
      for (int i = spans[s].first; i < spans[s].last; ++i) {
        visit(ops_[static_cast<std::size_t>(i)],
              [this, i](int r, bool, bool) { intervals_[static_cast<std::size_t>(r)].extend(i); });
      }
      for (std::size_t g = 0; g < globals_.size(); ++g) {
        Interval& interval = intervals_[static_cast<std::size_t>(globals_[g])];
        if (bit(live_in_[s], g)) interval.extend(spans[s].first);
        if (bit(live_out_[s], g)) interval.extend(spans[s].last);
      }
    }
    return std::move(intervals_);
  }

 private:
  using Bits = std::vector<std::uint64_t>;
  static bool bit(const Bits& bits, std::size_t i) { return (bits[i / 64] >> (i % 64) & 1) != 0; }
  static void set(Bits& bits, std::size_t i) { bits[i / 64] |= 1ULL << (i % 64); }

  /// f(register, written, certainly written): uses before definitions.
  template <class F>
  static void visit(Op& op, F f) {
    if (op.guard >= 0) f(op.guard / 4, false, false);
    for_each_ref(op, [&](Ref& ref, bool written) {
      if (ref.in_frame()) f(ref.number(), written, written && op.guard < 0);
    });
  }

  /// Only registers that some block reads before writing can live across blocks.
  void number_global_registers(const std::vector<Span>& spans) {
    global_.assign(intervals_.size(), -1);
    std::vector<int> defined_in(intervals_.size(), -1);
    for (std::size_t s = 0; s < spans.size(); ++s) {
      for (int i = spans[s].first; i < spans[s].last; ++i) {
        visit(ops_[static_cast<std::size_t>(i)], [&](int r, bool, bool certain) {
          const auto index = static_cast<std::size_t>(r);
          if (certain) {
            defined_in[index] = static_cast<int>(s);
          } else if (defined_in[index] != static_cast<int>(s) && global_[index] < 0) {
            global_[index] = static_cast<int>(globals_.size());
            globals_.push_back(r);
          }
        });
      }
    }
  }

  void solve(const std::vector<Span>& spans) {
    const std::size_t words = globals_.size() / 64 + 1;
    std::vector<Bits> use(spans.size(), Bits(words)), define(spans.size(), Bits(words));
    live_in_.assign(spans.size(), Bits(words));
    live_out_.assign(spans.size(), Bits(words));
    for (std::size_t s = 0; s < spans.size(); ++s) {
      for (int i = spans[s].first; i < spans[s].last; ++i) {
        visit(ops_[static_cast<std::size_t>(i)], [&](int r, bool, bool certain) {
          const int g = global_[static_cast<std::size_t>(r)];
          if (g < 0) return;
          const auto index = static_cast<std::size_t>(g);
          if (certain) {
            set(define[s], index);
          } else if (!bit(define[s], index)) {
            set(use[s], index);  // a guarded write needs the old value of other lanes
          }
        });
      }
    }
    bool changed = true;
    while (changed) {
      changed = false;
      for (std::size_t s = spans.size(); s-- > 0;) {
        for (const int next : spans[s].successors) {
          for (std::size_t w = 0; w < words; ++w) {
            live_out_[s][w] |= live_in_[static_cast<std::size_t>(next)][w];
          }
        }
        for (std::size_t w = 0; w < words; ++w) {
          const std::uint64_t in = use[s][w] | (live_out_[s][w] & ~define[s][w]);
          if (in != live_in_[s][w]) {
            live_in_[s][w] = in;
            changed = true;
          }
        }
      }
    }
  }

  std::vector<Op>& ops_;
  std::vector<Interval> intervals_;
  std::vector<int> global_;  ///< per register: its number among globals_, or -1
  std::vector<int> globals_;
  std::vector<Bits> live_in_, live_out_;
};

/// Slots of one width: handed out lowest first.
class Pool {
 public:
  int take() {
    if (free_.empty()) return used_++;
    const int slot = free_.top();
    free_.pop();
    return slot;
  }
  void give(int slot) { free_.push(slot); }
  int used() const { return used_; }

 private:
  std::priority_queue<int, std::vector<int>, std::greater<int>> free_;
  int used_ = 0;
};

}  // namespace

void allocate_registers(Decoder& decoder) {
  std::vector<Op>& ops = decoder.code.ops;
  const std::vector<int>& bits = decoder.bits_;
  const std::vector<Interval> intervals = Liveness(ops, bits.size()).run();

  std::vector<int> by_start;
  for (std::size_t r = 0; r < bits.size(); ++r) {
    if (intervals[r].first >= 0) by_start.push_back(static_cast<int>(r));
  }
  std::sort(by_start.begin(), by_start.end(), [&](int a, int b) {
    return intervals[static_cast<std::size_t>(a)].first <
           intervals[static_cast<std::size_t>(b)].first;
  });
  const auto pool_of = [](int width) { return width == 1 ? 0 : width == 32 ? 1 : 2; };
  Pool pools[3];
  std::vector<int> slot(bits.size(), -1);
  using Ending = std::pair<int, int>;  // last operation, register
  std::priority_queue<Ending, std::vector<Ending>, std::greater<Ending>> active;
  std::uint32_t live = 0, most = 0;
  for (const int r : by_start) {
    const auto index = static_cast<std::size_t>(r);
    // Results may not share a row with operands of the same operation: handlers write one lane
    // while they still read others. So a slot is free only behind its last use.
    while (!active.empty() && active.top().first < intervals[index].first) {
      const auto ended = static_cast<std::size_t>(active.top().second);
      active.pop();
      pools[pool_of(bits[ended])].give(slot[ended]);
      live -= bits[ended] == 64 ? 2 : bits[ended] == 32 ? 1 : 0;
    }
    slot[index] = pools[pool_of(bits[index])].take();
    active.push({intervals[index].last, r});
    live += bits[index] == 64 ? 2 : bits[index] == 32 ? 1 : 0;
    most = std::max(most, live);
  }
  // Frame: predicates, 32-bit rows, 64-bit rows.
  const auto predicates = static_cast<std::uint32_t>((pools[0].used() * 4 + 63) / 64 * 64);
  const auto narrow = static_cast<std::uint32_t>(pools[1].used()) * 4 * kLanes;
  const auto wide = static_cast<std::uint32_t>(pools[2].used()) * 8 * kLanes;
  const auto offset_of = [&](int r) -> std::uint32_t {
    const auto index = static_cast<std::size_t>(r);
    const auto s = static_cast<std::uint32_t>(slot[index]);
    if (bits[index] == 1) return s * 4;
    if (bits[index] == 32) return predicates + s * 4 * kLanes;
    return predicates + narrow + s * 8 * kLanes;
  };
  for (Op& op : ops) {
    if (op.guard >= 0) op.guard = static_cast<std::int32_t>(offset_of(op.guard / 4));
    for_each_ref(op, [&](Ref& ref, bool) {
      if (ref.in_frame()) ref = Ref::frame(offset_of(ref.number()));
    });
  }
  decoder.code.frame_bytes = predicates + narrow + wide;
  decoder.code.registers = most;
}

}  // namespace gpusim::execute
