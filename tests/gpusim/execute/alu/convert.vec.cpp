// cvt where a float is involved: float to integer (clamping, NaN as the manual's table says),
// integer to float and float to float, each rounded once in the mode that is written.
#include "execute/alu/rounding.hpp"
#include "execute/alu/small_floats.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

/// Sources, as their row type and the float they are worth.
template <bool Ftz>
struct FromF32 {
  using Row = float;
  static float value(float x) { return start<Ftz>(x); }
};
struct FromF64 {
  using Row = double;
  static double value(double x) { return x; }
};
template <class S>
struct FromHalf {
  using Row = u32;
  static float value(u32 code) { return widen<S>(code); }
};

template <Round R>
[[gnu::always_inline]] inline float integral(float x) {
  switch (R) {
    case Round::kRni:
      return __builtin_rintf(x);
    case Round::kRzi:
      return __builtin_truncf(x);
    case Round::kRmi:
      return __builtin_floorf(x);
    case Round::kRpi:
      return __builtin_ceilf(x);
    default:
      return x;
  }
}
template <Round R>
[[gnu::always_inline]] inline double integral(double x) {
  switch (R) {
    case Round::kRni:
      return __builtin_rint(x);
    case Round::kRzi:
      return __builtin_trunc(x);
    case Round::kRmi:
      return __builtin_floor(x);
    case Round::kRpi:
      return __builtin_ceil(x);
    default:
      return x;
  }
}

/// D of an integral value, clamped to D's range.
template <class D, class T>
[[gnu::always_inline]] inline D to_integer(T x) {
  constexpr D kHigh = static_cast<D>(kSigned<D> ? static_cast<Unsigned<D>>(~Unsigned<D>{0}) >> 1
                                                : static_cast<Unsigned<D>>(~Unsigned<D>{0}));
  constexpr D kLow = static_cast<D>(~kHigh);
  constexpr T kBeyond = static_cast<T>(kHigh / 2 + 1) * T(2);
  constexpr T kLeast = static_cast<T>(kLow);
  constexpr bool kNanIsZero = sizeof(T) < 8 && sizeof(D) < 8;
  constexpr D kOfNan = static_cast<D>(kNanIsZero ? 0 : Calc<D>{1} << (kBits<D> - 1));
  using Through = Integer<(sizeof(D) < 4 ? 4 : sizeof(D)), kSigned<D> || (sizeof(D) < 4)>::type;
  const bool inside = (x >= kLeast) & (x < kBeyond);
  const D r = static_cast<D>(static_cast<Through>(inside ? x : T(0)));
  const D clamped = x >= kBeyond ? kHigh : (x < kLeast ? kLow : r);
  return is_nan(x) ? kOfNan : clamped;
}

/// Narrow integers extend to their row by their sign.
template <class Source, class D, Round R>
struct ToInteger {
  using Row = Integer<(sizeof(D) < 4 ? 4 : sizeof(D)), kSigned<D>>::type;
  Row operator()(typename Source::Row x) const {
    return to_integer<D>(integral<R>(Source::value(x)));
  }
};

template <class Source, class D>
AluEntry to_integer_by_rounding(Round round) {
  using Row = typename ToInteger<Source, D, Round::kRni>::Row;
  using From = typename Source::Row;
  switch (round) {
    case Round::kRni:
      return entry<ToInteger<Source, D, Round::kRni>, Row, From>();
    case Round::kRzi:
      return entry<ToInteger<Source, D, Round::kRzi>, Row, From>();
    case Round::kRmi:
      return entry<ToInteger<Source, D, Round::kRmi>, Row, From>();
    case Round::kRpi:
      return entry<ToInteger<Source, D, Round::kRpi>, Row, From>();
    default:
      return {};
  }
}
template <class Source>
AluEntry to_integers(const Form& form) {
  switch (form.type[0]) {
    case Type::kU8:
      return to_integer_by_rounding<Source, u8>(form.round);
    case Type::kS8:
      return to_integer_by_rounding<Source, s8>(form.round);
    case Type::kU16:
      return to_integer_by_rounding<Source, u16>(form.round);
    case Type::kS16:
      return to_integer_by_rounding<Source, s16>(form.round);
    case Type::kU32:
      return to_integer_by_rounding<Source, u32>(form.round);
    case Type::kS32:
      return to_integer_by_rounding<Source, s32>(form.round);
    case Type::kU64:
      return to_integer_by_rounding<Source, u64>(form.round);
    case Type::kS64:
      return to_integer_by_rounding<Source, s64>(form.round);
    default:
      return {};
  }
}

template <class D>
struct FromInteger {
  template <class S>
  D operator()(S v) const {
    return static_cast<D>(v);
  }
};
template <class F, Round R>
struct HalfFromInteger {
  template <class S>
  u32 operator()(S v) const {
    if constexpr (sizeof(S) < 8) return narrow<F, R, false>(to_odd(static_cast<double>(v)));
    return narrow<F, R, false>(to_odd(sticky_double(static_cast<Wider<S>>(v))));
  }
  template <class S>
  using Wider = typename Integer<8, kSigned<S>>::type;
};

template <class D, class S>
AluEntry float_from(Round round) {
  switch (round) {
    case Round::kNone:
      return sizeof(D) == 8 && sizeof(S) < 8 ? entry<FromInteger<D>, D, S>() : AluEntry{};
    case Round::kRn:
      return entry<FromInteger<D>, D, S>();
    case Round::kRz:
      return rounded_entry<Round::kRz, FromInteger<D>, D, S>();
    case Round::kRm:
      return rounded_entry<Round::kRm, FromInteger<D>, D, S>();
    case Round::kRp:
      return rounded_entry<Round::kRp, FromInteger<D>, D, S>();
    default:
      return {};
  }
}
template <class F, class S>
AluEntry half_from(Round round) {
  switch (round) {
    case Round::kRn:
      return entry<HalfFromInteger<F, Round::kRn>, u32, S>();
    case Round::kRz:
      return entry<HalfFromInteger<F, Round::kRz>, u32, S>();
    case Round::kRm:
      return entry<HalfFromInteger<F, Round::kRm>, u32, S>();
    case Round::kRp:
      return entry<HalfFromInteger<F, Round::kRp>, u32, S>();
    default:
      return {};
  }
}
template <class S>
AluEntry from_integer(const Form& form) {
  if (form.sat || form.relu || form.satfinite) return {};
  switch (form.type[0]) {
    case Type::kF32:
      return float_from<float, S>(form.round);
    case Type::kF64:
      return float_from<double, S>(form.round);
    case Type::kF16:
      return half_from<F16, S>(form.round);
    case Type::kBf16:
      return half_from<Bf16, S>(form.round);
    default:
      return {};
  }
}

/// To f32 or f64, perhaps rounded to an integral value.
template <class Source, class D, Round R, bool Ftz, bool Sat>
struct ToFloat {
  D operator()(typename Source::Row x) const {
    return finish<Ftz, Sat>(static_cast<D>(integral<R>(Source::value(x))));
  }
};
template <class Source, class D, bool Ftz, bool Sat>
AluEntry to_float_rounded(Round round) {
  using From = typename Source::Row;
  constexpr bool kNarrowing = sizeof(D) < sizeof(From);
  if constexpr (kNarrowing) {
    using F = ToFloat<Source, D, Round::kNone, Ftz, Sat>;
    switch (round) {
      case Round::kRn:
        return entry<F, D, From>();
      case Round::kRz:
        return rounded_entry<Round::kRz, F, D, From>();
      case Round::kRm:
        return rounded_entry<Round::kRm, F, D, From>();
      case Round::kRp:
        return rounded_entry<Round::kRp, F, D, From>();
      default:
        return {};
    }
  } else {
    switch (round) {
      case Round::kNone:
        return entry<ToFloat<Source, D, Round::kNone, Ftz, Sat>, D, From>();
      case Round::kRni:
        return entry<ToFloat<Source, D, Round::kRni, Ftz, Sat>, D, From>();
      case Round::kRzi:
        return entry<ToFloat<Source, D, Round::kRzi, Ftz, Sat>, D, From>();
      case Round::kRmi:
        return entry<ToFloat<Source, D, Round::kRmi, Ftz, Sat>, D, From>();
      case Round::kRpi:
        return entry<ToFloat<Source, D, Round::kRpi, Ftz, Sat>, D, From>();
      default:
        return {};
    }
  }
}
template <class Source, class D, bool Ftz>
AluEntry to_float(const Form& form) {
  if (form.relu || form.satfinite) return {};
  return form.sat ? to_float_rounded<Source, D, Ftz, true>(form.round)
                  : to_float_rounded<Source, D, Ftz, false>(form.round);
}

enum class After { kNothing, kSaturate, kRelu };

/// To f16 or bf16. `Integral` is for conversions within the format.
template <class Source, class F, Round R, After A, bool SatFinite>
struct ToHalf {
  static u32 code(float x) { return narrow<F, R, SatFinite>(x); }
  static u32 code(double x) { return narrow<F, R, SatFinite>(to_odd(x)); }
  u32 operator()(typename Source::Row x) const {
    u32 h = code(integral<R>(Source::value(x)));
    const bool negative = h >= 0x8000u;
    constexpr u32 kOne = static_cast<u32>(F::kBias) << F::kMantissa;
    if constexpr (A == After::kSaturate) {
      h = negative || h == 0x7fffu ? 0u : (h > kOne ? kOne : h);
    } else if constexpr (A == After::kRelu) {
      h = negative ? 0u : h;
    }
    return h;
  }
};
template <class Source, class F, After A>
AluEntry to_half_rounded(Round round) {
  using From = typename Source::Row;
  switch (round) {
    case Round::kRn:
      return entry<ToHalf<Source, F, Round::kRn, A, false>, u32, From>();
    case Round::kRz:
      return entry<ToHalf<Source, F, Round::kRz, A, false>, u32, From>();
    case Round::kRm:
      return entry<ToHalf<Source, F, Round::kRm, A, false>, u32, From>();
    case Round::kRp:
      return entry<ToHalf<Source, F, Round::kRp, A, false>, u32, From>();
    default:
      return {};
  }
}
template <class F, After A>
AluEntry to_half_clamped(const Form& form) {
  using Source = FromF32<false>;
  if (form.round == Round::kRn) {
    return form.satfinite ? entry<ToHalf<Source, F, Round::kRn, A, true>, u32, float>()
                          : entry<ToHalf<Source, F, Round::kRn, A, false>, u32, float>();
  }
  if (form.round != Round::kRz) return {};
  return form.satfinite ? entry<ToHalf<Source, F, Round::kRz, A, true>, u32, float>()
                        : entry<ToHalf<Source, F, Round::kRz, A, false>, u32, float>();
}
template <class F>
AluEntry f32_to_half(const Form& form) {
  if (form.relu || form.satfinite) {
    if (form.sat || form.ftz) return {};
    return form.relu ? to_half_clamped<F, After::kRelu>(form)
                     : to_half_clamped<F, After::kNothing>(form);
  }
  if (form.ftz) {
    return form.sat ? to_half_rounded<FromF32<true>, F, After::kSaturate>(form.round)
                    : to_half_rounded<FromF32<true>, F, After::kNothing>(form.round);
  }
  return form.sat ? to_half_rounded<FromF32<false>, F, After::kSaturate>(form.round)
                  : to_half_rounded<FromF32<false>, F, After::kNothing>(form.round);
}
template <class Source, class F>
AluEntry other_to_half(const Form& form) {
  if (form.relu || form.satfinite) return {};
  return form.sat ? to_half_rounded<Source, F, After::kSaturate>(form.round)
                  : to_half_rounded<Source, F, After::kNothing>(form.round);
}
template <class F, After A>
AluEntry within_half(Round round) {
  using Source = FromHalf<F>;
  switch (round) {
    case Round::kNone:
      return entry<ToHalf<Source, F, Round::kNone, A, false>, u32, u32>();
    case Round::kRni:
      return entry<ToHalf<Source, F, Round::kRni, A, false>, u32, u32>();
    case Round::kRzi:
      return entry<ToHalf<Source, F, Round::kRzi, A, false>, u32, u32>();
    case Round::kRmi:
      return entry<ToHalf<Source, F, Round::kRmi, A, false>, u32, u32>();
    case Round::kRpi:
      return entry<ToHalf<Source, F, Round::kRpi, A, false>, u32, u32>();
    default:
      return {};
  }
}

template <Round R, bool SatFinite, bool Relu>
struct ToTf32 {
  u32 operator()(float x) const {
    const u32 code = narrow<Tf32, R, SatFinite>(x) << 13;
    return Relu && code >= 0x80000000u ? 0u : code;
  }
};
template <Round R>
AluEntry to_tf32(const Form& form) {
  if (form.satfinite) {
    return form.relu ? entry<ToTf32<R, true, true>, u32, float>()
                     : entry<ToTf32<R, true, false>, u32, float>();
  }
  return form.relu ? entry<ToTf32<R, false, true>, u32, float>()
                   : entry<ToTf32<R, false, false>, u32, float>();
}

AluEntry from_f32(const Form& form) {
  switch (form.type[0]) {
    case Type::kF32:
      return form.ftz ? to_float<FromF32<true>, float, true>(form)
                      : to_float<FromF32<false>, float, false>(form);
    case Type::kF64:
      return form.ftz ? to_float<FromF32<true>, double, false>(form)
                      : to_float<FromF32<false>, double, false>(form);
    case Type::kF16:
      return f32_to_half<F16>(form);
    case Type::kBf16:
      return f32_to_half<Bf16>(form);
    case Type::kTf32:
      if (form.round == Round::kRna) return to_tf32<Round::kRna>(form);
      if (form.round == Round::kRn) return to_tf32<Round::kRn>(form);
      return form.round == Round::kRz ? to_tf32<Round::kRz>(form) : AluEntry{};
    default:
      return form.ftz ? to_integers<FromF32<true>>(form) : to_integers<FromF32<false>>(form);
  }
}
AluEntry from_f64(const Form& form) {
  switch (form.type[0]) {
    case Type::kF32:
      return form.ftz ? to_float<FromF64, float, true>(form)
                      : to_float<FromF64, float, false>(form);
    case Type::kF64:
      return to_float<FromF64, double, false>(form);
    case Type::kF16:
      return other_to_half<FromF64, F16>(form);
    case Type::kBf16:
      return other_to_half<FromF64, Bf16>(form);
    default:
      return to_integers<FromF64>(form);
  }
}
template <class F, class Other>
AluEntry from_half(const Form& form, Type self, Type other) {
  if (form.type[0] == Type::kF32) {
    return form.ftz ? to_float<FromHalf<F>, float, true>(form)
                    : to_float<FromHalf<F>, float, false>(form);
  }
  if (form.type[0] == Type::kF64) return to_float<FromHalf<F>, double, false>(form);
  if (form.type[0] == other) return other_to_half<FromHalf<F>, Other>(form);
  if (form.type[0] != self) return to_integers<FromHalf<F>>(form);
  if (form.relu || form.satfinite) return {};
  return form.sat ? within_half<F, After::kSaturate>(form.round)
                  : within_half<F, After::kNothing>(form.round);
}

AluEntry find(const Form& form) {
  switch (form.type[1]) {
    case Type::kF32:
      return from_f32(form);
    case Type::kF64:
      return from_f64(form);
    case Type::kF16:
      return from_half<F16, Bf16>(form, Type::kF16, Type::kBf16);
    case Type::kBf16:
      return from_half<Bf16, F16>(form, Type::kBf16, Type::kF16);
    case Type::kU8:
      return from_integer<u8>(form);
    case Type::kS8:
      return from_integer<s8>(form);
    case Type::kU16:
      return from_integer<u16>(form);
    case Type::kS16:
      return from_integer<s16>(form);
    case Type::kU32:
      return from_integer<u32>(form);
    case Type::kS32:
      return from_integer<s32>(form);
    case Type::kU64:
      return from_integer<u64>(form);
    case Type::kS64:
      return from_integer<s64>(form);
    default:
      return {};
  }
}

}  // namespace

AluEntry find_convert(const Form& form) {
  if (form.op != Op::kCvt || form.types != 2 || form.operands != 2) return {};
  AluEntry e = find(form);
  e.float_sources = form.type[1] == Type::kF32 || form.type[1] == Type::kF64 ||
                    form.type[1] == Type::kF16 || form.type[1] == Type::kBf16;
  return e;
}

}  // namespace gpusim::GPUSIM_TARGET
