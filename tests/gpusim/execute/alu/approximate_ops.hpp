// ex2, lg2, sin, cos, tanh in f32: polynomials without fma, so that every instruction set computes
// the same bits, within the errors that the PTX manual documents (most are near one ulp).
#pragma once

#include "execute/alu/float_ops.hpp"

namespace gpusim::GPUSIM_TARGET {

/// 2^n for n in [-126, 127].
[[gnu::always_inline]] inline float power_of_two(s32 n) {
  return bits<float>(static_cast<u32>(n + 127) << 23);
}

[[gnu::always_inline]] inline float exp2_of(float x) {
  float t = x > -151.0f ? x : -151.0f;  // also where x is NaN
  t = t < 129.0f ? t : 129.0f;
  const float whole = __builtin_rintf(t);
  const float f = t - whole;
  float p = 1.525273380405984e-5f;  // ln(2)^k / k!
  p = p * f + 1.540353039338161e-4f;
  p = p * f + 1.333355814642844e-3f;
  p = p * f + 9.618129107628477e-3f;
  p = p * f + 5.550410866482158e-2f;
  p = p * f + 2.402265069591007e-1f;
  p = p * f + 6.931471805599453e-1f;
  p = p * f + 1.0f;
  // In two steps: the first is exact, so that subnormal results are rounded once.
  const s32 n = static_cast<s32>(whole);
  const s32 half = n >> 1;
  const float r = p * power_of_two(half) * power_of_two(n - half);
  return is_nan(x) ? x : r;
}

[[gnu::always_inline]] inline float log2_of(float x) {
  const bool tiny = x < 0x1p-126f;
  const u32 b = bits<u32>(tiny ? x * 0x1p23f : x);
  // m in [sqrt(1/2), sqrt(2)), x = m * 2^e
  const u32 shifted = b + (0x3f800000u - 0x3f3504f3u);
  const s32 e = static_cast<s32>(shifted >> 23) - 127 - (tiny ? 23 : 0);
  const float m = bits<float>((shifted & 0x007fffffu) + 0x3f3504f3u);
  const float s = (m - 1.0f) / (m + 1.0f);
  const float z = s * s;
  float p = 3.205988979654e-1f;  // 2 / (ln(2) (2k + 1))
  p = p * z + 4.121985831112e-1f;
  p = p * z + 5.770780163556e-1f;
  p = p * z + 9.617966939260e-1f;
  const float fraction = s * (p * z + 2.885390081778f);
  float r = static_cast<float>(e) + fraction;
  r = x == __builtin_inff() ? x : r;
  r = x == 0.0f ? -__builtin_inff() : r;
  return x < 0.0f || is_nan(x) ? bits<float>(kCanonicalNan) : r;
}

/// sin(x + quarter * pi/2). Beyond about 2^50 the reduction loses its meaning, as on hardware; the
/// result stays within [-1, 1].
template <int Quarter>
[[gnu::always_inline]] inline float sine_of(float x) {
  const double wide = static_cast<double>(x);
  const double turns = __builtin_rint(wide * 0.63661977236758134308);
  double rest = (wide - turns * 1.57079632679489655800) - turns * 6.12323399573676603587e-17;
  rest = rest > 0.8 ? 0.8 : rest;
  rest = rest < -0.8 ? -0.8 : rest;
  const double quadrant = turns - 4.0 * __builtin_floor(turns * 0.25);
  const s32 q = (static_cast<s32>(quadrant) + Quarter) & 3;
  const float r = static_cast<float>(rest);
  const float z = r * r;
  float s = 2.7557319e-6f;
  s = s * z - 1.9841270e-4f;
  s = s * z + 8.3333333e-3f;
  s = s * z - 1.6666667e-1f;
  s = r + r * (z * s);
  float c = 2.4801587e-5f;
  c = c * z - 1.3888889e-3f;
  c = c * z + 4.1666667e-2f;
  c = c * z - 0.5f;
  c = c * z + 1.0f;
  const float picked = (q & 1) != 0 ? c : s;
  float result = (q & 2) != 0 ? -picked : picked;
  if (Quarter == 0) result = magnitude(x) < 0x1p-13f ? x : result;  // keeps -0
  return magnitude(x) < __builtin_inff() ? result : bits<float>(kCanonicalNan);
}

[[gnu::always_inline]] inline float tanh_of(float x) {
  const float a = magnitude(x);
  const float z = a * a;
  float p = 2.1869489e-2f;  // 62/2835
  p = p * z - 5.3968254e-2f;
  p = p * z + 1.3333333e-1f;
  p = p * z - 3.3333333e-1f;
  const float small = a + a * (z * p);
  const float large = 1.0f - 2.0f / (exp2_of(a * 2.885390081778f) + 1.0f);
  const float r = with_sign(a < 0.3f ? small : large, bits<u32>(x));
  return is_nan(x) ? x : r;
}

}  // namespace gpusim::GPUSIM_TARGET
