// f32, f64 and f32x2 arithmetic rounded to nearest. Directed rounding is in rounded.vec.cpp, the
// approximations that are not simply exact are in approximate.vec.cpp.
#include "execute/alu/float_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

template <class F>
AluEntry unary(const Form& form) {
  if (form.type[0] == Type::kF32) {
    if (form.sat) return {};
    return form.ftz ? entry<Ruled<F, true, false>, float, float>()
                    : entry<Ruled<F, false, false>, float, float>();
  }
  if (form.type[0] == Type::kF64 && !form.ftz && !form.sat) {
    return entry<Ruled<F, false, false>, double, double>();
  }
  return {};
}

template <class F, int Sources, class T>
AluEntry with_sources() {
  if constexpr (Sources == 2) {
    return entry<F, T, T, T>();
  } else {
    return entry<F, T, T, T, T>();
  }
}

template <class F, int Sources>
AluEntry several(const Form& form) {
  switch (form.type[0]) {
    case Type::kF32:
      if (form.ftz) {
        return form.sat ? with_sources<Ruled<F, true, true>, Sources, float>()
                        : with_sources<Ruled<F, true, false>, Sources, float>();
      }
      return form.sat ? with_sources<Ruled<F, false, true>, Sources, float>()
                      : with_sources<Ruled<F, false, false>, Sources, float>();
    case Type::kF64:
      if (form.ftz || form.sat) return {};
      return with_sources<Ruled<F, false, false>, Sources, double>();
    case Type::kF32x2:
      if (form.sat) return {};
      return form.ftz ? with_sources<PairOfFloats<Ruled<F, true, false>>, Sources, u64>()
                      : with_sources<PairOfFloats<Ruled<F, false, false>>, Sources, u64>();
    default:
      return {};
  }
}

template <bool Maximum, bool PropagateNan>
AluEntry find_extremum3(const Form& form) {
  if (form.type[0] != Type::kF32) return {};
  if (form.abs) {
    return form.ftz
               ? entry<Extremum3<Maximum, PropagateNan, true, true>, float, float, float, float>()
               : entry<Extremum3<Maximum, PropagateNan, true, false>, float, float, float, float>();
  }
  return form.ftz
             ? entry<Extremum3<Maximum, PropagateNan, false, true>, float, float, float, float>()
             : entry<Extremum3<Maximum, PropagateNan, false, false>, float, float, float, float>();
}

template <bool Maximum, bool PropagateNan>
AluEntry find_extremum(const Form& form) {
  if (form.operands == 4) return find_extremum3<Maximum, PropagateNan>(form);
  if (form.type[0] == Type::kF64 && !form.nan && !form.ftz && !form.xorsign) {
    return entry<Extremum<Maximum, PropagateNan, false, false>, double, double, double>();
  }
  if (form.type[0] != Type::kF32 || form.xorsign != form.abs) return {};
  if (form.xorsign) {
    return form.ftz ? entry<Extremum<Maximum, PropagateNan, true, true>, float, float, float>()
                    : entry<Extremum<Maximum, PropagateNan, true, false>, float, float, float>();
  }
  return form.ftz ? entry<Extremum<Maximum, PropagateNan, false, true>, float, float, float>()
                  : entry<Extremum<Maximum, PropagateNan, false, false>, float, float, float>();
}

/// div.approx is a * (1/b): where 1/b would be subnormal the documented result is 0 (NaN for an
/// infinite dividend). Everywhere else the exact quotient is within its two ulp.
template <bool Ftz>
struct DivApproximate {
  float operator()(float x, float y) const {
    const float a = start<Ftz>(x), b = start<Ftz>(y);
    const float size = magnitude(b);
    const bool huge = size > 0x1p126f && size < __builtin_inff();
    const float zero = with_sign(0.0f, bits<u32>(a) ^ bits<u32>(b));
    const float tiny_reciprocal = a * zero;
    const float q = a / b;
    return finish<Ftz, false>(huge ? with_sign(tiny_reciprocal, bits<u32>(zero)) : q);
  }
};

AluEntry divide(const Form& form) {
  if (form.approx && form.type[0] == Type::kF32) {
    return form.ftz ? entry<DivApproximate<true>, float, float, float>()
                    : entry<DivApproximate<false>, float, float, float>();
  }
  return several<PlainDiv, 2>(form);
}

struct CopySign {
  template <class T>
  T operator()(T sign, T value) const {
    return with_sign(value, bits<BitsOf<T>>(sign));
  }
};

template <class T>
struct Layout;
template <>
struct Layout<float> {
  static constexpr u32 kInfinity = 0x7f800000u, kSmallestNormal = 0x00800000u;
};
template <>
struct Layout<double> {
  static constexpr u64 kInfinity = 0x7ff0000000000000ull, kSmallestNormal = 0x0010000000000000ull;
};

template <class T, Mode Property>
void test_property(const AluOperands& o, std::uint32_t mask) {
  using U = BitsOf<T>;
  using L = Layout<T>;
  alignas(64) u32 flags[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    const U v = bits<U>(magnitude(take<T>(o.a, i)));
    bool is = false;
    switch (Property) {
      case Mode::kFinite:
        is = v < L::kInfinity;
        break;
      case Mode::kInfinite:
        is = v == L::kInfinity;
        break;
      case Mode::kNumber:
        is = v <= L::kInfinity;
        break;
      case Mode::kNotANumber:
        is = v > L::kInfinity;
        break;
      case Mode::kNormal:
        is = v >= L::kSmallestNormal && v < L::kInfinity;
        break;
      default:
        is = v != 0 && v < L::kSmallestNormal;
        break;
    }
    flags[i] = is ? kAllLanes : 0u;
  }
  commit_predicate(o.d, lane_bits(flags), mask);
}

template <class T>
AluEntry test(Mode property) {
  AluEntry e;
  e.d_bits = 1;
  e.a_bits = kRowBits<T>;
  switch (property) {
    case Mode::kFinite:
      e.function = test_property<T, Mode::kFinite>;
      break;
    case Mode::kInfinite:
      e.function = test_property<T, Mode::kInfinite>;
      break;
    case Mode::kNumber:
      e.function = test_property<T, Mode::kNumber>;
      break;
    case Mode::kNotANumber:
      e.function = test_property<T, Mode::kNotANumber>;
      break;
    case Mode::kNormal:
      e.function = test_property<T, Mode::kNormal>;
      break;
    case Mode::kSubnormal:
      e.function = test_property<T, Mode::kSubnormal>;
      break;
    default:
      break;
  }
  return e;
}

template <template <bool> class F>
AluEntry sign_change(const Form& form) {
  if (form.type[0] == Type::kF32) {
    return form.ftz ? entry<F<true>, float, float>() : entry<F<false>, float, float>();
  }
  return form.type[0] == Type::kF64 && !form.ftz ? entry<F<false>, double, double>() : AluEntry{};
}

AluEntry find(const Form& form) {
  const bool f64 = form.type[0] == Type::kF64;
  switch (form.op) {
    case Op::kAdd:
      return several<PlainAdd, 2>(form);
    case Op::kSub:
      return several<PlainSub, 2>(form);
    case Op::kMul:
      return several<PlainMul, 2>(form);
    // mad of floats is fma on every target that can still be compiled for.
    case Op::kMad:
    case Op::kFma:
      return several<PlainFma, 3>(form);
    case Op::kDiv:
      return divide(form);
    // The f64 approximations keep the upper word only: approximate.vec.cpp.
    case Op::kRcp:
      return form.approx && f64 ? AluEntry{} : unary<PlainRcp>(form);
    case Op::kSqrt:
      return unary<PlainSqrt>(form);
    case Op::kAbs:
      return sign_change<FloatAbs>(form);
    case Op::kNeg:
      return sign_change<FloatNeg>(form);
    case Op::kMin:
      return form.nan ? find_extremum<false, true>(form) : find_extremum<false, false>(form);
    case Op::kMax:
      return form.nan ? find_extremum<true, true>(form) : find_extremum<true, false>(form);
    case Op::kCopysign:
      if (f64) return entry<CopySign, double, double, double>();
      return form.type[0] == Type::kF32 ? entry<CopySign, float, float, float>() : AluEntry{};
    case Op::kTestp:
      if (f64) return test<double>(form.mode);
      return form.type[0] == Type::kF32 ? test<float>(form.mode) : AluEntry{};
    default:
      return {};
  }
}

}  // namespace

AluEntry find_float(const Form& form) {
  if (form.type[0] != Type::kF32 && form.type[0] != Type::kF64 && form.type[0] != Type::kF32x2) {
    return {};
  }
  if (form.round != Round::kNone && form.round != Round::kRn) return {};
  return with_float_sources(find(form));
}

}  // namespace gpusim::GPUSIM_TARGET
