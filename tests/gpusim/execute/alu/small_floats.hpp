// f16, bf16, tf32 and the 8-, 6- and 4-bit floats: exact widening to f32 and correctly rounded
// narrowing from f32, all in 32-bit integer operations that vectorise on every instruction set.
//
// Wider sources (f64, 64-bit integers, sums and products that f32 cannot hold) first go to f32
// rounded to odd: the last bit set where anything was lost. With two bits to spare, which all small
// formats leave, the second rounding is then as good as one rounding.
#pragma once

#include "execute/alu/float_ops.hpp"

namespace gpusim::GPUSIM_TARGET {

/// A float of E exponent and M mantissa bits with bias 2^(E-1) - 1. Finite: no infinity, the
/// largest code but one (e4m3) or all codes (e2m1, e2m3, e3m2) are numbers.
template <int E, int M, bool Infinity, bool Nan>
struct SmallFloat {
  static constexpr int kExponent = E, kMantissa = M, kWidth = 1 + E + M;
  static constexpr int kBias = (1 << (E - 1)) - 1;
  static constexpr bool kInfinity = Infinity, kNan = Nan;
  static constexpr u32 kAll = (1u << (E + M)) - 1;
  /// Largest finite magnitude.
  static constexpr u32 kLargest = Infinity ? (((1u << E) - 1) << M) - 1 : (Nan ? kAll - 1 : kAll);
};
using F16 = SmallFloat<5, 10, true, true>;
using Bf16 = SmallFloat<8, 7, true, true>;
using Tf32 = SmallFloat<8, 10, true, true>;
using E4m3 = SmallFloat<4, 3, false, true>;
using E5m2 = SmallFloat<5, 2, true, true>;
using E2m1 = SmallFloat<2, 1, false, false>;
using E2m3 = SmallFloat<2, 3, false, false>;
using E3m2 = SmallFloat<3, 2, false, false>;

/// condition ? a : b without a branch, whatever the compiler thinks of branches: one that it makes
/// inside a long expression keeps the loop from being vectorised.
[[gnu::always_inline]] inline u32 choose(bool condition, u32 a, u32 b) {
  const u32 select = 0u - static_cast<u32>(condition);
  return (a & select) | (b & ~select);
}
[[gnu::always_inline]] inline u64 choose(bool condition, u64 a, u64 b) {
  const u64 select = u64{0} - static_cast<u64>(condition);
  return (a & select) | (b & ~select);
}

/// The code of the format nearest to x by rounding R. SatFinite: beyond the largest finite value
/// there is only that value. NaN gives the canonical code (the largest value where there is no
/// NaN).
template <class S, Round R, bool SatFinite>
[[gnu::always_inline]] inline u32 narrow(float x) {
  constexpr int E = S::kExponent, M = S::kMantissa;
  const u32 b = bits<u32>(x);
  const u32 a = b & 0x7fffffffu;
  const bool negative = (b >> 31) != 0;
  const s32 exponent = static_cast<s32>(a >> 23);
  const s32 effective = exponent == 0 ? 1 : exponent;
  const u32 mantissa = (a & 0x007fffffu) | (exponent == 0 ? 0u : 0x00800000u);
  const s32 target = effective - 127 + S::kBias;
  const s32 wanted = 23 - M + (target < 1 ? 1 - target : 0);
  const u32 shift = static_cast<u32>(wanted > 25 ? 25 : wanted);
  const u32 half = (1u << shift) >> 1;
  const u32 rest = mantissa & ((1u << shift) - 1u);
  u32 code = mantissa >> shift;
  bool up = false;
  switch (R) {
    case Round::kRz:
      break;
    case Round::kRna:
      up = rest >= half;
      break;
    case Round::kRm:
      up = negative & (rest != 0);
      break;
    case Round::kRp:
      up = !negative & (rest != 0);
      break;
    default:
      up = rest + (code & 1u) > half;  // ties to even
      break;
  }
  code += up ? 1u : 0u;
  code += target > 1 ? static_cast<u32>(target - 1) << M : 0u;
  if constexpr (SatFinite || !S::kInfinity) {
    code = code > S::kLargest ? S::kLargest : code;
  } else {
    constexpr u32 kInf = ((1u << E) - 1u) << M;
    bool stays_finite = R == Round::kRz;
    if (R == Round::kRm) stays_finite = !negative;
    if (R == Round::kRp) stays_finite = negative;
    code = code > S::kLargest ? (stays_finite ? S::kLargest : kInf) : code;
    code = a == 0x7f800000u ? kInf : code;
  }
  code |= (b >> 31) << (E + M);
  return a > 0x7f800000u ? (S::kNan ? S::kAll : S::kLargest) : code;
}

/// The two conversions that training spends its time in, shorter.
template <>
[[gnu::always_inline]] inline u32 narrow<Bf16, Round::kRn, false>(float x) {
  const u32 b = bits<u32>(x);
  const u32 r = (b + 0x7fffu + (b >> 16 & 1u)) >> 16;
  return choose((b & 0x7fffffffu) > 0x7f800000u, 0x7fffu, r);
}
template <>
[[gnu::always_inline]] inline u32 narrow<F16, Round::kRn, false>(float x) {
  const u32 b = bits<u32>(x);
  const u32 a = b & 0x7fffffffu;
  const u32 normal = (a + 0xfffu + (a >> 13 & 1u) - 0x38000000u) >> 13;
  // One half has the ulp of the smallest f16: the addition rounds as wanted.
  const u32 subnormal = bits<u32>(bits<float>(a) + 0.5f) - 0x3f000000u;
  u32 r = choose(a < 0x38800000u, subnormal, normal);
  r = choose(a >= 0x47800000u, 0x7c00u, r);
  r |= b >> 31 << 15;
  return choose(a > 0x7f800000u, 0x7fffu, r);
}

/// The value of a code, exactly. Bits above the format's width are ignored.
template <class S>
[[gnu::always_inline]] inline float widen(u32 code) {
  constexpr int E = S::kExponent, M = S::kMantissa;
  const u32 magnitude_code = code & S::kAll;
  const u32 sign = (code >> (E + M) & 1u) << 31;
  if constexpr (E == 8) {
    return bits<float>(sign | magnitude_code << (23 - M));
  } else {
    const u32 normal = (magnitude_code << (23 - M)) + (static_cast<u32>(127 - S::kBias) << 23);
    constexpr float kQuantum = bits<float>(static_cast<u32>(127 + 1 - S::kBias - M) << 23);
    const float small = static_cast<float>(static_cast<s32>(magnitude_code)) * kQuantum;
    u32 r = choose(magnitude_code < (1u << M), bits<u32>(small), normal);
    if constexpr (S::kInfinity) {
      constexpr u32 kInf = ((1u << E) - 1u) << M;
      r = choose(magnitude_code >= kInf, 0x7f800000u | magnitude_code << (23 - M), r);
    } else if constexpr (S::kNan) {
      r = choose(magnitude_code == S::kAll, kCanonicalNan, r);
    }
    return bits<float>(r | sign);
  }
}

/// Rounds an f64 to f32 rounded to odd.
[[gnu::always_inline]] inline float to_odd(double x) {
  const float f = static_cast<float>(x);
  const double back = static_cast<double>(f);
  const u32 b = bits<u32>(f);
  const bool away = magnitude(back) > magnitude(x);
  const bool inexact = (back > x) | (back < x);
  const u32 step = choose(away, ~0u, 1u);
  return bits<float>(b + (choose(inexact, step, 0u) & ((b & 1u) - 1u)));  // where b is even
}

/// a + b in T, rounded to odd: the error of the sum is exact (Knuth), its sign says where to go.
template <class T>
[[gnu::always_inline]] inline T add_to_odd(T a, T b) {
  using U = BitsOf<T>;
  const T s = a + b;
  const T virtual_b = s - a;
  const T error = (a - (s - virtual_b)) + (b - virtual_b);
  const U sb = bits<U>(s);
  const bool outward = (error > T(0)) == (s > T(0));
  // Where the sum is not finite the error is NaN, and there is nothing to mend.
  const bool inexact = (error > T(0)) | (error < T(0));
  const U step = choose(outward, U{1}, static_cast<U>(~U{0}));
  return bits<T>(sb + (choose(inexact, step, U{0}) & ((sb & U{1}) - U{1})));  // where even
}

/// 64-bit integers to a double that still rounds correctly to 51 bits or fewer: what a double
/// cannot hold becomes one sticky bit.
[[gnu::always_inline]] inline double sticky_double(u64 v) {
  const u64 reduced = (v & ~u64{0xfff}) | ((v & 0xfff) != 0 ? 0x800u : 0u);
  return static_cast<double>(v >> 52 != 0 ? reduced : v);
}
[[gnu::always_inline]] inline double sticky_double(s64 v) {
  const double m = sticky_double(v < 0 ? u64{0} - static_cast<u64>(v) : static_cast<u64>(v));
  return v < 0 ? -m : m;
}

}  // namespace gpusim::GPUSIM_TARGET
