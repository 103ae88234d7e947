// The packed video instructions (vadd4, vabsdiff4, vmin2 and so on), which cuda's simd intrinsics
// still compile to: d = op(a, b) per byte or half word, saturated on demand, or with .add the sum
// of all parts plus c. Only forms without sub-word selection and lane masks.
#include "execute/alu/integer_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

struct PartAdd {
  static s32 apply(s32 a, s32 b) { return a + b; }
};
struct PartSub {
  static s32 apply(s32 a, s32 b) { return a - b; }
};
struct PartAverage {  // rounds away from zero for negative sums
  static s32 apply(s32 a, s32 b) { return (a + b + (a + b >= 0 ? 1 : 0)) >> 1; }
};
struct PartAbsDiff {
  static s32 apply(s32 a, s32 b) { return a < b ? b - a : a - b; }
};
struct PartMin {
  static s32 apply(s32 a, s32 b) { return a < b ? a : b; }
};
struct PartMax {
  static s32 apply(s32 a, s32 b) { return a < b ? b : a; }
};

/// Part: the element type, u8, s8, u16 or s16.
template <class F, class D, class Part, bool Saturate, bool Accumulate>
struct Video {
  u32 operator()(u32 a, u32 b, u32 c) const {
    constexpr int kPart = kBits<Part>;
    constexpr s32 kLow = kSigned<D> ? -(1 << (kPart - 1)) : 0;
    constexpr s32 kHigh = kSigned<D> ? (1 << (kPart - 1)) - 1 : (1 << kPart) - 1;
    u32 result = Accumulate ? c : 0u;
    for (int at = 0; at < 32; at += kPart) {
      s32 value = F::apply(static_cast<Part>(a >> at), static_cast<Part>(b >> at));
      if (Saturate) value = value < kLow ? kLow : (value > kHigh ? kHigh : value);
      if (Accumulate) {
        result += static_cast<u32>(value);
      } else {
        result |= static_cast<u32>(static_cast<Unsigned<Part>>(value)) << at;
      }
    }
    return result;
  }
};

template <class F, class U, class S>
AluEntry find_part(const Form& form, bool accumulate) {
  const Type d = form.type[0], a = form.type[1], b = form.type[2];
  if (a != b || (a != Type::kU32 && a != Type::kS32) || (d != Type::kU32 && d != Type::kS32)) {
    return {};
  }
  if (accumulate) {
    if (form.sat) return {};
    return a == Type::kU32 ? entry<Video<F, U, U, false, true>, u32, u32, u32, u32>()
                           : entry<Video<F, S, S, false, true>, u32, u32, u32, u32>();
  }
  if (!form.sat) {
    return a == Type::kU32 ? entry<Video<F, U, U, false, false>, u32, u32, u32, u32>()
                           : entry<Video<F, S, S, false, false>, u32, u32, u32, u32>();
  }
  if (a == Type::kU32) {
    return d == Type::kU32 ? entry<Video<F, U, U, true, false>, u32, u32, u32, u32>()
                           : entry<Video<F, S, U, true, false>, u32, u32, u32, u32>();
  }
  return d == Type::kU32 ? entry<Video<F, U, S, true, false>, u32, u32, u32, u32>()
                         : entry<Video<F, S, S, true, false>, u32, u32, u32, u32>();
}

}  // namespace

AluEntry find_video(const Form& form) {
  // The scalar add as a secondary operation is the modifier .add, which parse_form keeps as `full`.
  const bool accumulate = form.full;
  switch (form.op) {
    case Op::kVadd4:
      return find_part<PartAdd, u8, s8>(form, accumulate);
    case Op::kVsub4:
      return find_part<PartSub, u8, s8>(form, accumulate);
    case Op::kVavrg4:
      return find_part<PartAverage, u8, s8>(form, accumulate);
    case Op::kVabsdiff4:
      return find_part<PartAbsDiff, u8, s8>(form, accumulate);
    case Op::kVmin4:
      return find_part<PartMin, u8, s8>(form, accumulate);
    case Op::kVmax4:
      return find_part<PartMax, u8, s8>(form, accumulate);
    case Op::kVadd2:
      return find_part<PartAdd, u16, s16>(form, accumulate);
    case Op::kVsub2:
      return find_part<PartSub, u16, s16>(form, accumulate);
    case Op::kVavrg2:
      return find_part<PartAverage, u16, s16>(form, accumulate);
    case Op::kVabsdiff2:
      return find_part<PartAbsDiff, u16, s16>(form, accumulate);
    case Op::kVmin2:
      return find_part<PartMin, u16, s16>(form, accumulate);
    case Op::kVmax2:
      return find_part<PartMax, u16, s16>(form, accumulate);
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
