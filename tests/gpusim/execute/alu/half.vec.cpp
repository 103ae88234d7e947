// f16 and bf16 arithmetic, single and in pairs. Each operation rounds once: sums and products of
// two such numbers are computed in f32, which is wide enough for a second rounding to be harmless;
// fma goes through a sum rounded to odd.
#include "execute/alu/approximate_ops.hpp"
#include "execute/alu/small_floats.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

struct HalfFma {
  template <class S>
  static float apply(float a, float b, float c) {
    if constexpr (S::kExponent == 5) {
      return add_to_odd(a * b, c);  // the product is exact
    } else {
      return to_odd(
          add_to_odd(static_cast<double>(a) * static_cast<double>(b), static_cast<double>(c)));
    }
  }
};
struct HalfAdd {
  template <class S>
  static float apply(float a, float b) {
    return a + b;
  }
};
struct HalfSub {
  template <class S>
  static float apply(float a, float b) {
    return a - b;
  }
};
struct HalfMul {
  template <class S>
  static float apply(float a, float b) {
    return a * b;
  }
};
struct HalfExp2 {
  template <class S>
  static float apply(float a) {
    return exp2_of(a);
  }
};
struct HalfTanh {
  template <class S>
  static float apply(float a) {
    return tanh_of(a);
  }
};

enum class After { kNothing, kSaturate, kRelu };

template <class S>
[[gnu::always_inline]] inline u32 flush_code(u32 h) {
  constexpr u32 kExponents = ((1u << S::kExponent) - 1u) << S::kMantissa;
  return (h & kExponents) == 0 ? h & 0x8000u : h & 0xffffu;
}

/// F on codes in the low 16 bits.
template <class F, class S, bool Ftz, After A>
struct OnCodes {
  template <class... C>
  u32 operator()(C... codes) const {
    const float r = F::template apply<S>(widen<S>(Ftz ? flush_code<S>(codes) : codes)...);
    u32 h = narrow<S, Round::kRn, false>(r);
    if constexpr (Ftz) h = flush_code<S>(h);
    constexpr u32 kOne = static_cast<u32>(S::kBias) << S::kMantissa;
    const bool negative = h >= 0x8000u;
    if constexpr (A == After::kSaturate) {
      h = negative || h == 0x7fffu ? 0u : (h > kOne ? kOne : h);
    } else if constexpr (A == After::kRelu) {
      h = negative ? 0u : h;
    }
    return h;
  }
};

template <bool Maximum, bool PropagateNan, bool XorSign, bool Ftz, class S>
struct HalfExtremum {
  u32 operator()(u32 x, u32 y) const {
    const u32 a = Ftz ? flush_code<S>(x) : x & 0xffffu, b = Ftz ? flush_code<S>(y) : y & 0xffffu;
    const float r = Extremum<Maximum, PropagateNan, XorSign, false>{}(widen<S>(a), widen<S>(b));
    return narrow<S, Round::kRn, false>(r);
  }
};
struct HalfNeg {
  u32 operator()(u32 a) const { return a ^ 0x8000u; }
};
struct HalfAbs {
  u32 operator()(u32 a) const { return a & 0x7fffu; }
};
template <class F, class S>
struct FlushBefore {
  u32 operator()(u32 a) const { return F{}(flush_code<S>(a)); }
};

template <class F>
struct Single {
  template <class... C>
  u32 operator()(C... x) const {
    return F{}((x & 0xffffu)...);
  }
};
template <class F>
struct Both {
  template <class... C>
  u32 operator()(C... x) const {
    return (F{}((x & 0xffffu)...) & 0xffffu) | F{}((x >> 16)...) << 16;
  }
};

template <class F, int Sources>
AluEntry with_sources() {
  if constexpr (Sources == 1) {
    return entry<F, u32, u32>();
  } else if constexpr (Sources == 2) {
    return entry<F, u32, u32, u32>();
  } else {
    return entry<F, u32, u32, u32, u32>();
  }
}

template <class F, int Sources>
AluEntry single_or_both(bool both) {
  return both ? with_sources<Both<F>, Sources>() : with_sources<Single<F>, Sources>();
}

bool is_f16(Type t) {
  return t == Type::kF16 || t == Type::kF16x2;
}
bool is_bf16(Type t) {
  return t == Type::kBf16 || t == Type::kBf16x2;
}

template <class F, int Sources, bool Relu>
AluEntry arithmetic(const Form& form) {
  const Type type = form.type[0];
  const bool both = type == Type::kF16x2 || type == Type::kBf16x2;
  if (form.relu && (!Relu || form.sat)) return {};
  if (is_f16(type)) {
    if (form.relu) {
      return form.ftz ? single_or_both<OnCodes<F, F16, true, After::kRelu>, Sources>(both)
                      : single_or_both<OnCodes<F, F16, false, After::kRelu>, Sources>(both);
    }
    if (form.sat) {
      return form.ftz ? single_or_both<OnCodes<F, F16, true, After::kSaturate>, Sources>(both)
                      : single_or_both<OnCodes<F, F16, false, After::kSaturate>, Sources>(both);
    }
    return form.ftz ? single_or_both<OnCodes<F, F16, true, After::kNothing>, Sources>(both)
                    : single_or_both<OnCodes<F, F16, false, After::kNothing>, Sources>(both);
  }
  if (!is_bf16(type) || form.ftz || form.sat) return {};
  return form.relu ? single_or_both<OnCodes<F, Bf16, false, After::kRelu>, Sources>(both)
                   : single_or_both<OnCodes<F, Bf16, false, After::kNothing>, Sources>(both);
}

template <bool Maximum, bool PropagateNan, bool XorSign>
AluEntry extremum_of(const Form& form) {
  const Type type = form.type[0];
  const bool both = type == Type::kF16x2 || type == Type::kBf16x2;
  if (is_f16(type)) {
    return form.ftz
               ? single_or_both<HalfExtremum<Maximum, PropagateNan, XorSign, true, F16>, 2>(both)
               : single_or_both<HalfExtremum<Maximum, PropagateNan, XorSign, false, F16>, 2>(both);
  }
  if (form.ftz) return {};
  return single_or_both<HalfExtremum<Maximum, PropagateNan, XorSign, false, Bf16>, 2>(both);
}
template <bool Maximum>
AluEntry find_extremum(const Form& form) {
  if (form.xorsign != form.abs || form.operands != 3) return {};
  if (form.nan) {
    return form.xorsign ? extremum_of<Maximum, true, true>(form)
                        : extremum_of<Maximum, true, false>(form);
  }
  return form.xorsign ? extremum_of<Maximum, false, true>(form)
                      : extremum_of<Maximum, false, false>(form);
}

/// ex2 and tanh: .ftz is written on ex2 of bf16 and changes what subnormals give.
template <class F>
AluEntry approximate(const Form& form) {
  const Type type = form.type[0];
  const bool both = type == Type::kF16x2 || type == Type::kBf16x2;
  if (!form.approx || form.sat || form.relu) return {};
  if (is_f16(type)) {
    return form.ftz ? single_or_both<OnCodes<F, F16, true, After::kNothing>, 1>(both)
                    : single_or_both<OnCodes<F, F16, false, After::kNothing>, 1>(both);
  }
  return form.ftz ? single_or_both<OnCodes<F, Bf16, true, After::kNothing>, 1>(both)
                  : single_or_both<OnCodes<F, Bf16, false, After::kNothing>, 1>(both);
}

template <class F>
AluEntry sign_change(const Form& form) {
  const Type type = form.type[0];
  const bool both = type == Type::kF16x2 || type == Type::kBf16x2;
  if (!form.ftz) return single_or_both<F, 1>(both);
  return is_f16(type) ? single_or_both<FlushBefore<F, F16>, 1>(both) : AluEntry{};
}

AluEntry find(const Form& form) {
  switch (form.op) {
    case Op::kAdd:
      return arithmetic<HalfAdd, 2, false>(form);
    case Op::kSub:
      return arithmetic<HalfSub, 2, false>(form);
    case Op::kMul:
      return arithmetic<HalfMul, 2, false>(form);
    case Op::kFma:
      return arithmetic<HalfFma, 3, true>(form);
    case Op::kMin:
      return find_extremum<false>(form);
    case Op::kMax:
      return find_extremum<true>(form);
    case Op::kNeg:
      return sign_change<HalfNeg>(form);
    case Op::kAbs:
      return sign_change<HalfAbs>(form);
    case Op::kEx2:
      return approximate<HalfExp2>(form);
    case Op::kTanh:
      return approximate<HalfTanh>(form);
    default:
      return {};
  }
}

}  // namespace

AluEntry find_half(const Form& form) {
  if (!is_f16(form.type[0]) && !is_bf16(form.type[0])) return {};
  if (form.round != Round::kNone && form.round != Round::kRn) return {};
  return with_float_sources(find(form));
}

}  // namespace gpusim::GPUSIM_TARGET
