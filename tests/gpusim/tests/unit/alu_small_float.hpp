// Reference rounding to small float formats, by searching among scaled integers in quadruple
// precision; nothing of it is shared with the code under test.
#pragma once

#include <cmath>
#include <cstdint>

namespace gpusim::test {

__extension__ using Quad = __float128;

struct Format {
  int exponent_bits;
  int mantissa_bits;
  bool infinity;
  bool nan;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  int width() const { return 1 + exponent_bits + mantissa_bits; }
};
inline constexpr Format kF16{5, 10, true, true};
inline constexpr Format kBf16{8, 7, true, true};
inline constexpr Format kTf32{8, 10, true, true};
inline constexpr Format kE4m3{4, 3, false, true};
inline constexpr Format kE5m2{5, 2, true, true};
inline constexpr Format kE2m1{2, 1, false, false};
inline constexpr Format kE2m3{2, 3, false, false};
inline constexpr Format kE3m2{3, 2, false, false};

enum class Direction { kNearest, kAwayTies, kZero, kDown, kUp };

/// The value of a code without its sign; every format here fits a double.
inline Quad magnitude_of(std::uint32_t code, const Format& f) {
  const int e = static_cast<int>(code >> f.mantissa_bits);
  const std::uint32_t m = code & ((1u << f.mantissa_bits) - 1);
  if (e == 0) return std::ldexp(static_cast<double>(m), 1 - f.bias() - f.mantissa_bits);
  return std::ldexp(static_cast<double>(m) + (1u << f.mantissa_bits),
                    e - f.bias() - f.mantissa_bits);
}

/// Largest code of a finite number.
inline std::uint32_t largest_code(const Format& f) {
  const std::uint32_t all = (1u << (f.exponent_bits + f.mantissa_bits)) - 1;
  if (f.infinity) return all - (1u << f.mantissa_bits);
  return f.nan ? all - 1 : all;
}

inline std::uint32_t infinity_code(const Format& f) {
  return largest_code(f) + 1;
}

/// p + c for rounding to a small format: where even quadruple precision cannot hold the sum, it is
/// moved off any tie in the direction of what was lost.
inline Quad sum_off_ties(Quad p, Quad c) {
  const Quad s = p + c;
  const Quad virtual_c = s - p;
  const Quad lost = (p - (s - virtual_c)) + (c - virtual_c);
  if (lost > 0 || lost < 0) {
    const Quad size = s < 0 ? -s : s;
    return s + (lost > 0 ? size : -size) * static_cast<Quad>(0x1p-108);
  }
  return s;
}

/// Rounds by bisection over the codes, which are ordered like the values.
inline std::uint32_t round_to(Quad value, bool negative_zero, const Format& f, Direction direction,
                              bool saturate) {
  const std::uint32_t all = (1u << (f.exponent_bits + f.mantissa_bits)) - 1;
  if (value != value) return f.nan ? all : largest_code(f);
  const bool negative = value < 0 || (value == 0 && negative_zero);
  const std::uint32_t sign = negative ? 1u << (f.exponent_bits + f.mantissa_bits) : 0u;
  const Quad m = value < 0 ? -value : value;
  std::uint32_t low = 0, high = largest_code(f) + 1;  // low <= m < high, where one exists
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (magnitude_of(middle, f) <= m ? low : high) = middle;
  }
  const Quad below = magnitude_of(low, f), above = magnitude_of(low + 1, f);
  bool up = false;
  if (m != below) {
    switch (direction) {
      case Direction::kNearest: {
        const Quad d = (m - below) - (above - m);
        up = d > 0 || (d == 0 && (low & 1u) != 0);
        break;
      }
      case Direction::kAwayTies:
        up = (m - below) >= (above - m);
        break;
      case Direction::kZero:
        break;
      case Direction::kDown:
        up = negative;
        break;
      case Direction::kUp:
        up = !negative;
        break;
    }
  }
  std::uint32_t code = low + (up ? 1u : 0u);
  const bool infinite = m == static_cast<Quad>(__builtin_inf());
  if (infinite) code = largest_code(f) + 1;
  if (code > largest_code(f)) code = saturate || !f.infinity ? largest_code(f) : infinity_code(f);
  return sign | code;
}

/// The value of a code with its sign; infinities and NaN as such.
inline Quad value_of(std::uint32_t code, const Format& f) {
  const std::uint32_t all = (1u << (f.exponent_bits + f.mantissa_bits)) - 1;
  const std::uint32_t m = code & all;
  const bool negative = (code >> (f.exponent_bits + f.mantissa_bits) & 1u) != 0;
  Quad v = 0;
  if (m > (f.infinity ? infinity_code(f) : largest_code(f))) {
    v = __builtin_nan("");
  } else if (f.infinity && m == infinity_code(f)) {
    v = __builtin_inf();
  } else {
    v = magnitude_of(m, f);
  }
  return negative ? -v : v;
}

}  // namespace gpusim::test
