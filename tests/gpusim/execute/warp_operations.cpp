// Exchanges between the lanes of a warp: shfl, vote, match, redux, elect, activemask. The lanes
// have met already (warp_sync.hpp); Context::participants says which took part. Op::immediate is
// the width of the value operand a: 1, 32 or 64.
#include <bit>
#include <cmath>

#include "execute/context.hpp"
#include "execute/decode/decoder.hpp"

namespace gpusim::execute {
namespace {

/// What a lane gets from one that did not take part: undefined on hardware, conspicuous here.
constexpr std::uint32_t kUndefined = 0xcbcbcbcb;

enum class Shuffle : std::uint8_t { kUp, kDown, kButterfly, kIndex };

/// Where each lane reads, and 1 where that lies in its range, else 0 and the lane itself.
template <Shuffle Mode>
[[gnu::always_inline]] inline void find_sources(const std::uint32_t* b, const std::uint32_t* c,
                                                std::int32_t* from, std::uint32_t* good) {
  for (std::int32_t lane = 0; lane < kLanes; ++lane) {
    const auto distance = static_cast<std::int32_t>(b[lane] & 31);
    const auto clamp = static_cast<std::int32_t>(c[lane] & 31);
    const auto segment = static_cast<std::int32_t>(c[lane] >> 8 & 31);
    const std::int32_t least = lane & segment;
    const std::int32_t most = least | (clamp & ~segment);
    const std::int32_t source = Mode == Shuffle::kUp          ? lane - distance
                                : Mode == Shuffle::kDown      ? lane + distance
                                : Mode == Shuffle::kButterfly ? lane ^ distance
                                                              : least | (distance & ~segment);
    const bool in_range = Mode == Shuffle::kUp ? source >= most : source <= most;
    from[lane] = in_range ? source : lane;
    good[lane] = in_range ? 1 : 0;
  }
}

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void find_sources_of(
    Shuffle mode, const std::uint32_t* b, const std::uint32_t* c, std::int32_t* from,
    std::uint32_t* good) {
  switch (mode) {
    case Shuffle::kUp:
      return find_sources<Shuffle::kUp>(b, c, from, good);
    case Shuffle::kDown:
      return find_sources<Shuffle::kDown>(b, c, from, good);
    case Shuffle::kButterfly:
      return find_sources<Shuffle::kButterfly>(b, c, from, good);
    case Shuffle::kIndex:
      return find_sources<Shuffle::kIndex>(b, c, from, good);
  }
}

template <Shuffle Mode>
void shuffle(Context& context, const Op& op, LaneMask mask) {
  const std::uint32_t* a = context.row32(op.a);
  std::uint32_t* d = context.row32(op.d);
  alignas(64) std::int32_t from[kLanes];
  alignas(64) std::uint32_t good[kLanes];
  alignas(64) std::uint32_t result[kLanes];
  find_sources_of(Mode, context.row32(op.b), context.row32(op.c), from, good);
  if (context.participants == kAllLanes) {
    for (int lane = 0; lane < kLanes; ++lane) result[lane] = a[from[lane]];
  } else {
    for (int lane = 0; lane < kLanes; ++lane) {
      result[lane] = (context.participants >> from[lane] & 1) != 0 ? a[from[lane]] : kUndefined;
    }
  }
  for_lanes(mask, [&](int lane) { d[lane] = result[lane]; });
  if (!op.d2.absent()) {
    LaneMask in_range = 0;
    for (int lane = 0; lane < kLanes; ++lane) in_range |= good[lane] << lane;
    LaneMask& p = context.predicate(op.d2);
    p = (p & ~mask) | (in_range & mask);
  }
}

/// The lanes that exchange with `lane`.
LaneMask members(const Context& context, const Op& op, int lane) {
  return context.row32(op.e)[lane] & context.participants;
}

enum class Vote : std::uint8_t { kAll, kAny, kUniform, kBallot };

template <Vote Mode>
void vote(Context& context, const Op& op, LaneMask mask) {
  LaneMask value = context.predicate(op.a);
  if (op.negate_a) value = ~value;
  if constexpr (Mode == Vote::kBallot) {
    std::uint32_t* d = context.row32(op.d);
    for_lanes(mask, [&](int lane) { d[lane] = value & members(context, op, lane); });
  } else {
    LaneMask result = 0;
    for_lanes(mask, [&](int lane) {
      const LaneMask all = members(context, op, lane);
      const LaneMask yes = value & all;
      const bool holds = Mode == Vote::kAll   ? yes == all
                         : Mode == Vote::kAny ? yes != 0
                                              : yes == all || yes == 0;
      if (holds) result |= 1u << lane;
    });
    LaneMask& d = context.predicate(op.d);
    d = (d & ~mask) | result;
  }
}

template <bool Wide, bool All>
void match(Context& context, const Op& op, LaneMask mask) {
  std::uint64_t values[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    values[i] = Wide ? context.row64(op.a)[i] : context.row32(op.a)[i];
  }
  std::uint32_t* d = context.row32(op.d);
  LaneMask equal = 0;
  for_lanes(mask, [&](int lane) {
    const LaneMask others = members(context, op, lane);
    LaneMask same = 0;
    for_lanes(others, [&](int other) {
      if (values[other] == values[lane]) same |= 1u << other;
    });
    if (All) {
      d[lane] = same == others ? others : 0;
      if (same == others) equal |= 1u << lane;
    } else {
      d[lane] = same;
    }
  });
  if (All && !op.d2.absent()) {
    LaneMask& p = context.predicate(op.d2);
    p = (p & ~mask) | equal;
  }
}

using Combine = std::uint32_t (*)(std::uint32_t, std::uint32_t);

template <Combine F>
void reduce(Context& context, const Op& op, LaneMask mask) {
  alignas(64) std::uint32_t a[kLanes];
  const std::uint32_t* row = context.row32(op.a);
  for (int i = 0; i < kLanes; ++i) a[i] = row[i];
  std::uint32_t* d = context.row32(op.d);
  for_lanes(mask, [&](int lane) {
    LaneMask others = members(context, op, lane);
    std::uint32_t result = a[__builtin_ctz(others)];
    for_lanes(others & (others - 1), [&](int other) { result = F(result, a[other]); });
    d[lane] = result;
  });
}

std::uint32_t sum(std::uint32_t a, std::uint32_t b) {
  return a + b;
}
std::uint32_t conjunction(std::uint32_t a, std::uint32_t b) {
  return a & b;
}
std::uint32_t disjunction(std::uint32_t a, std::uint32_t b) {
  return a | b;
}
std::uint32_t difference(std::uint32_t a, std::uint32_t b) {
  return a ^ b;
}
std::uint32_t least(std::uint32_t a, std::uint32_t b) {
  return a < b ? a : b;
}
std::uint32_t most(std::uint32_t a, std::uint32_t b) {
  return a < b ? b : a;
}
std::uint32_t signed_least(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b) ? a : b;
}
std::uint32_t signed_most(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a) < static_cast<std::int32_t>(b) ? b : a;
}

/// min and max of floats: NaN loses against a number, or wins with .NaN; .abs compares magnitudes.
template <bool Most, bool Abs, bool Nan>
std::uint32_t float_extreme(std::uint32_t a, std::uint32_t b) {
  if (Abs) {
    a &= 0x7fffffff;
    b &= 0x7fffffff;
  }
  const float x = std::bit_cast<float>(a), y = std::bit_cast<float>(b);
  if (std::isnan(x) || std::isnan(y)) {
    if (Nan) return 0x7fffffff;
    return std::isnan(x) ? b : a;
  }
  return (Most ? x < y : y < x) ? b : a;
}

Handler float_reduction(const ptx::Instruction& i) {
  const bool abs = i.has("abs"), nan = i.has("NaN");
  if (i.has("min")) {
    if (abs)
      return nan ? reduce<float_extreme<false, true, true>>
                 : reduce<float_extreme<false, true, false>>;
    return nan ? reduce<float_extreme<false, false, true>>
               : reduce<float_extreme<false, false, false>>;
  }
  if (i.has("max")) {
    if (abs)
      return nan ? reduce<float_extreme<true, true, true>>
                 : reduce<float_extreme<true, true, false>>;
    return nan ? reduce<float_extreme<true, false, true>>
               : reduce<float_extreme<true, false, false>>;
  }
  return nullptr;
}

Handler reduction(const ptx::Instruction& i) {
  if (i.has("f32")) return float_reduction(i);
  if (i.has("add")) return reduce<sum>;
  if (i.has("and")) return reduce<conjunction>;
  if (i.has("or")) return reduce<disjunction>;
  if (i.has("xor")) return reduce<difference>;
  if (i.has("min")) return i.has("s32") ? reduce<signed_least> : reduce<least>;
  if (i.has("max")) return i.has("s32") ? reduce<signed_most> : reduce<most>;
  return nullptr;
}

void elect(Context& context, const Op& op, LaneMask mask) {
  LaneMask leaders = 0;
  for_lanes(mask, [&](int lane) {
    const int leader = __builtin_ctz(members(context, op, lane));
    if (!op.d.absent()) context.row32(op.d)[lane] = static_cast<std::uint32_t>(leader);
    if (leader == lane) leaders |= 1u << lane;
  });
  LaneMask& p = context.predicate(op.d2);
  p = (p & ~mask) | leaders;
}

void active_mask(Context& context, const Op& op, LaneMask mask) {
  std::uint32_t* d = context.row32(op.d);
  for_lanes(mask, [&](int lane) { d[lane] = mask; });
}

void need(const Decoder& decoder, std::size_t count) {
  if (decoder.instruction().operands.size() != count) {
    decoder.unsupported(std::to_string(count) + " operands are expected");
  }
}

void decode_shuffle(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (!i.has("sync")) decoder.unsupported("shfl without .sync");
  need(decoder, 5);
  const Handler handler = i.has("up")     ? shuffle<Shuffle::kUp>
                          : i.has("down") ? shuffle<Shuffle::kDown>
                          : i.has("bfly") ? shuffle<Shuffle::kButterfly>
                          : i.has("idx")  ? shuffle<Shuffle::kIndex>
                                          : nullptr;
  if (handler == nullptr) decoder.unsupported("the modes are up, down, bfly, idx");
  const Ref a = decoder.source(i.operands[1], 32);
  const Ref b = decoder.source(i.operands[2], 32);
  const Ref c = decoder.source(i.operands[3], 32);
  const Ref member = decoder.source(i.operands[4], 32);
  const Ref d = decoder.destination(i.operands[0], 32);
  Ref p;
  if (!i.operands[0].second.empty()) p = decoder.destination(i.operands[0].second[0], 1);
  Op& op = decoder.emit_handler(handler, Kind::kSync);
  op.a = a;
  op.b = b;
  op.c = c;
  op.e = member;
  op.d = d;
  op.d2 = p;
  op.immediate = 32;
}

void decode_vote(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (!i.has("sync")) decoder.unsupported("vote without .sync");
  need(decoder, 3);
  const Handler handler = i.has("all")      ? vote<Vote::kAll>
                          : i.has("any")    ? vote<Vote::kAny>
                          : i.has("uni")    ? vote<Vote::kUniform>
                          : i.has("ballot") ? vote<Vote::kBallot>
                                            : nullptr;
  if (handler == nullptr) decoder.unsupported("the modes are all, any, uni, ballot");
  const Ref a = decoder.source(i.operands[1], 1);
  const Ref member = decoder.source(i.operands[2], 32);
  const Ref d = decoder.destination(i.operands[0], i.has("ballot") ? 32 : 1);
  Op& op = decoder.emit_handler(handler, Kind::kSync);
  op.a = a;
  op.negate_a = i.operands[1].negated;
  op.e = member;
  op.d = d;
  op.immediate = 1;
}

void decode_match(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  need(decoder, 3);
  const bool wide = i.has("b64");
  const bool all = i.has("all");
  const Handler handler = wide ? (all ? match<true, true> : match<true, false>)
                               : (all ? match<false, true> : match<false, false>);
  const Ref a = decoder.source(i.operands[1], wide ? 64 : 32);
  const Ref member = decoder.source(i.operands[2], 32);
  const Ref d = decoder.destination(i.operands[0], 32);
  Ref p;
  if (!i.operands[0].second.empty()) p = decoder.destination(i.operands[0].second[0], 1);
  Op& op = decoder.emit_handler(handler, Kind::kSync);
  op.a = a;
  op.e = member;
  op.d = d;
  op.d2 = p;
  op.immediate = wide ? 64 : 32;
}

void decode_redux(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  need(decoder, 3);
  const Handler handler = reduction(i);
  if (handler == nullptr) decoder.unsupported("unknown reduction");
  const Ref a = decoder.source(i.operands[1], 32);
  const Ref member = decoder.source(i.operands[2], 32);
  const Ref d = decoder.destination(i.operands[0], 32);
  Op& op = decoder.emit_handler(handler, Kind::kSync);
  op.a = a;
  op.e = member;
  op.d = d;
  op.immediate = 32;
}

void decode_elect(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  need(decoder, 2);
  if (i.operands[0].second.empty()) decoder.unsupported("elect has two results");
  const Ref member = decoder.source(i.operands[1], 32);
  const Ref d = decoder.destination(i.operands[0], 32);
  const Ref p = decoder.destination(i.operands[0].second[0], 1);
  Op& op = decoder.emit_handler(elect, Kind::kSync);
  op.e = member;
  op.d = d;
  op.d2 = p;
}

}  // namespace

bool decode_warp_operation(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode == "shfl") {
    decode_shuffle(decoder);
  } else if (i.opcode == "vote") {
    decode_vote(decoder);
  } else if (i.opcode == "match") {
    decode_match(decoder);
  } else if (i.opcode == "redux") {
    decode_redux(decoder);
  } else if (i.opcode == "elect") {
    decode_elect(decoder);
  } else if (i.opcode == "activemask") {
    need(decoder, 1);
    const Ref d = decoder.destination(i.operands[0], 32);
    decoder.emit_handler(active_mask).d = d;
  } else {
    return false;
  }
  return true;
}

}  // namespace gpusim::execute
