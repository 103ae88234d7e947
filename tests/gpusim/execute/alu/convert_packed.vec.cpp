// cvt to and from pairs of small floats: f16x2 and bf16x2 from two f32 (the first source goes to
// the upper half), the 8-, 6- and 4-bit pairs, and scales (ue8m0x2).
#include "execute/alu/small_floats.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

template <class S, Round R, bool SatFinite, bool Relu>
[[gnu::always_inline]] inline u32 code_of(float x) {
  const u32 code = narrow<S, R, SatFinite>(x);
  return Relu && (code >> (S::kWidth - 1)) != 0 ? 0u : code;
}

/// Bits that one element takes in the packed register.
template <class S>
constexpr int kSlot = S::kWidth == 6 ? 8 : S::kWidth;

template <class S, Round R, bool SatFinite, bool Relu>
struct PackFloats {
  u32 operator()(float a, float b) const {
    return code_of<S, R, SatFinite, Relu>(b) | code_of<S, R, SatFinite, Relu>(a) << kSlot<S>;
  }
};
template <class S, class From, bool Relu>
struct PackHalves {
  u32 operator()(u32 pair) const {
    return code_of<S, Round::kRn, true, Relu>(widen<From>(pair)) |
           code_of<S, Round::kRn, true, Relu>(widen<From>(pair >> 16)) << kSlot<S>;
  }
};
template <class S, bool Relu>
struct UnpackToHalves {
  u32 operator()(u32 pair) const {
    return code_of<F16, Round::kRn, false, Relu>(widen<S>(pair)) |
           code_of<F16, Round::kRn, false, Relu>(widen<S>(pair >> kSlot<S>)) << 16;
  }
};

/// ue8m0: a power of two, the biased exponent alone; 255 is NaN.
template <bool Up, bool SatFinite>
[[gnu::always_inline]] inline u32 scale_of(float x) {
  const u32 a = bits<u32>(x) & 0x7fffffffu;
  u32 code = a >> 23;
  if (Up) code += (a & 0x007fffffu) != 0 ? 1u : 0u;
  if (SatFinite) code = code > 254u ? 254u : code;
  return a > 0x7f800000u || code > 255u ? 255u : code;
}
template <bool Up, bool SatFinite>
struct PackScales {
  u32 operator()(float a, float b) const {
    return scale_of<Up, SatFinite>(b) | scale_of<Up, SatFinite>(a) << 8;
  }
  u32 operator()(u32 pair) const {
    return scale_of<Up, SatFinite>(widen<Bf16>(pair)) |
           scale_of<Up, SatFinite>(widen<Bf16>(pair >> 16)) << 8;
  }
};
struct UnpackScales {
  static u32 code(u32 scale) {
    return scale == 255u ? 0x7fffu : (scale == 0 ? 0x0040u : scale << 7);
  }
  u32 operator()(u32 pair) const { return code(pair & 255u) | code(pair >> 8 & 255u) << 16; }
};

template <class S, Round R>
AluEntry pack_rounded(const Form& form) {
  if (form.satfinite) {
    return form.relu ? entry<PackFloats<S, R, true, true>, u32, float, float>()
                     : entry<PackFloats<S, R, true, false>, u32, float, float>();
  }
  return form.relu ? entry<PackFloats<S, R, false, true>, u32, float, float>()
                   : entry<PackFloats<S, R, false, false>, u32, float, float>();
}
template <class S>
AluEntry pack_sixteen(const Form& form) {
  if (form.round == Round::kRn) return pack_rounded<S, Round::kRn>(form);
  return form.round == Round::kRz ? pack_rounded<S, Round::kRz>(form) : AluEntry{};
}
template <class S>
AluEntry pack_small(const Form& form) {
  if (!form.satfinite || form.round != Round::kRn) return {};
  if (form.type[1] == Type::kF16x2) {
    return form.relu ? entry<PackHalves<S, F16, true>, u32, u32>()
                     : entry<PackHalves<S, F16, false>, u32, u32>();
  }
  if (form.type[1] == Type::kBf16x2) {
    return form.relu ? entry<PackHalves<S, Bf16, true>, u32, u32>()
                     : entry<PackHalves<S, Bf16, false>, u32, u32>();
  }
  if (form.type[1] != Type::kF32) return {};
  return form.relu ? entry<PackFloats<S, Round::kRn, true, true>, u32, float, float>()
                   : entry<PackFloats<S, Round::kRn, true, false>, u32, float, float>();
}
template <bool Up>
AluEntry pack_scales(const Form& form) {
  if (form.type[1] == Type::kF32) {
    return form.satfinite ? entry<PackScales<Up, true>, u32, float, float>()
                          : entry<PackScales<Up, false>, u32, float, float>();
  }
  if (form.type[1] != Type::kBf16x2) return {};
  return form.satfinite ? entry<PackScales<Up, true>, u32, u32>()
                        : entry<PackScales<Up, false>, u32, u32>();
}

template <class S>
AluEntry unpack(const Form& form) {
  if (form.round != Round::kRn) return {};
  return form.relu ? entry<UnpackToHalves<S, true>, u32, u32>()
                   : entry<UnpackToHalves<S, false>, u32, u32>();
}

AluEntry find(const Form& form) {
  switch (form.type[0]) {
    case Type::kF16x2:
      switch (form.type[1]) {
        case Type::kF32:
          return pack_sixteen<F16>(form);
        case Type::kE4m3x2:
          return unpack<E4m3>(form);
        case Type::kE5m2x2:
          return unpack<E5m2>(form);
        case Type::kE2m1x2:
          return unpack<E2m1>(form);
        case Type::kE2m3x2:
          return unpack<E2m3>(form);
        case Type::kE3m2x2:
          return unpack<E3m2>(form);
        default:
          return {};
      }
    case Type::kBf16x2:
      if (form.type[1] == Type::kF32) return pack_sixteen<Bf16>(form);
      return form.type[1] == Type::kUe8m0x2 && form.round == Round::kRn
                 ? entry<UnpackScales, u32, u32>()
                 : AluEntry{};
    case Type::kE4m3x2:
      return pack_small<E4m3>(form);
    case Type::kE5m2x2:
      return pack_small<E5m2>(form);
    case Type::kE2m1x2:
      return pack_small<E2m1>(form);
    case Type::kE2m3x2:
      return pack_small<E2m3>(form);
    case Type::kE3m2x2:
      return pack_small<E3m2>(form);
    case Type::kUe8m0x2:
      if (form.round == Round::kRz) return pack_scales<false>(form);
      return form.round == Round::kRp ? pack_scales<true>(form) : AluEntry{};
    default:
      return {};
  }
}

}  // namespace

AluEntry find_convert_packed(const Form& form) {
  if (form.op != Op::kCvt || form.types != 2 || form.sat || form.ftz) return {};
  const int sources = form.type[1] == Type::kF32 ? 2 : 1;
  if (form.operands != sources + 1) return {};
  AluEntry e = find(form);
  e.float_sources = form.type[1] == Type::kF32;
  return e;
}

}  // namespace gpusim::GPUSIM_TARGET
