// f32 and f64 arithmetic of one lane. An f32 NaN result is the canonical 0x7fffffff, as on
// hardware, which also makes results independent of the order in which the compiler takes operands.
// f64 keeps payloads. Subnormals are flushed only where .ftz is written.
#pragma once

#include "execute/alu/integer_ops.hpp"

namespace gpusim::GPUSIM_TARGET {

constexpr u32 kCanonicalNan = 0x7fffffffu;

[[gnu::always_inline]] inline bool is_nan(float x) {
  return x != x;
}
[[gnu::always_inline]] inline bool is_nan(double x) {
  return x != x;
}

[[gnu::always_inline]] inline float flush(float x) {
  const u32 b = bits<u32>(x);
  return bits<float>((b & 0x7f800000u) == 0 ? b & 0x80000000u : b);
}
template <bool Ftz, class T>
[[gnu::always_inline]] inline T start(T x) {
  if constexpr (Ftz && sizeof(T) == 4) return flush(x);
  return x;
}

[[gnu::always_inline]] inline float canonical(float x) {
  return is_nan(x) ? bits<float>(kCanonicalNan) : x;
}
[[gnu::always_inline]] inline double canonical(double x) {
  return x;
}

/// Clamps to [0, 1]; NaN becomes +0.
template <class T>
[[gnu::always_inline]] inline T saturate(T x) {
  x = x > T(0) ? x : T(0);
  return x < T(1) ? x : T(1);
}

template <bool Ftz, bool Sat, class T>
[[gnu::always_inline]] inline T finish(T x) {
  x = start<Ftz>(x);
  if constexpr (Sat) return saturate(x);
  return canonical(x);
}

struct PlainAdd {
  template <class T>
  static T apply(T a, T b) {
    return a + b;
  }
};
struct PlainSub {
  template <class T>
  static T apply(T a, T b) {
    return a - b;
  }
};
struct PlainMul {
  template <class T>
  static T apply(T a, T b) {
    return a * b;
  }
};
struct PlainDiv {
  template <class T>
  static T apply(T a, T b) {
    return a / b;
  }
};
struct PlainFma {
  static float apply(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static double apply(double a, double b, double c) { return __builtin_fma(a, b, c); }
};
struct PlainRcp {
  template <class T>
  static T apply(T a) {
    return T(1) / a;
  }
};
struct PlainSqrt {
  static float apply(float a) { return __builtin_sqrtf(a); }
  static double apply(double a) { return __builtin_sqrt(a); }
};

/// F with the flushing, saturation and NaN rules around it.
template <class F, bool Ftz, bool Sat>
struct Ruled {
  template <class... T>
  auto operator()(T... x) const {
    return finish<Ftz, Sat>(F::apply(start<Ftz>(x)...));
  }
};

/// Two f32 operations in one 64-bit register.
template <class F>
struct PairOfFloats {
  template <class... T>
  u64 operator()(T... x) const {
    const float low = F{}(bits<float>(static_cast<u32>(x))...);
    const float high = F{}(bits<float>(static_cast<u32>(x >> 32))...);
    return u64{bits<u32>(low)} | u64{bits<u32>(high)} << 32;
  }
};

/// min and max: the number where one is NaN (or NaN with .NaN), -0 below +0.
template <bool Maximum, bool PropagateNan, class T>
[[gnu::always_inline]] inline T extremum(T a, T b) {
  using U = BitsOf<T>;
  const T zero_rule = Maximum ? bits<T>(static_cast<U>(bits<U>(a) & bits<U>(b)))
                              : bits<T>(static_cast<U>(bits<U>(a) | bits<U>(b)));
  T r = Maximum ? (a > b ? a : b) : (a < b ? a : b);
  r = a == b ? zero_rule : r;
  if (PropagateNan) return is_nan(a) ? a : (is_nan(b) ? b : r);
  r = is_nan(a) ? b : r;
  return is_nan(b) ? a : r;
}

template <class T>
[[gnu::always_inline]] inline T magnitude(T x) {
  using U = BitsOf<T>;
  return bits<T>(static_cast<U>(bits<U>(x) & (static_cast<U>(~U{0}) >> 1)));
}
template <class T>
[[gnu::always_inline]] inline T with_sign(T value, BitsOf<T> sign_source) {
  using U = BitsOf<T>;
  constexpr U kSign = static_cast<U>(~(static_cast<U>(~U{0}) >> 1));
  return bits<T>(static_cast<U>((bits<U>(value) & ~kSign) | (sign_source & kSign)));
}

template <bool Maximum, bool PropagateNan, bool XorSign, bool Ftz>
struct Extremum {
  template <class T>
  T operator()(T x, T y) const {
    using U = BitsOf<T>;
    const T a = start<Ftz>(x), b = start<Ftz>(y);
    if constexpr (XorSign) {
      const T r = extremum<Maximum, PropagateNan>(magnitude(a), magnitude(b));
      return canonical(with_sign(r, static_cast<U>(bits<U>(a) ^ bits<U>(b))));
    }
    return canonical(extremum<Maximum, PropagateNan>(a, b));
  }
};
template <bool Maximum, bool PropagateNan, bool Magnitudes, bool Ftz>
struct Extremum3 {
  float operator()(float x, float y, float z) const {
    float a = start<Ftz>(x), b = start<Ftz>(y), c = start<Ftz>(z);
    if constexpr (Magnitudes) a = magnitude(a), b = magnitude(b), c = magnitude(c);
    return canonical(extremum<Maximum, PropagateNan>(extremum<Maximum, PropagateNan>(a, b), c));
  }
};

template <bool Ftz>
struct FloatAbs {
  template <class T>
  T operator()(T a) const {
    return magnitude(start<Ftz>(a));
  }
};
template <bool Ftz>
struct FloatNeg {
  template <class T>
  T operator()(T x) const {
    using U = BitsOf<T>;
    const T a = start<Ftz>(x);
    return with_sign(a, static_cast<U>(~bits<U>(a)));
  }
};

}  // namespace gpusim::GPUSIM_TARGET
