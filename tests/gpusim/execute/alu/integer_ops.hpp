// Integer arithmetic of one lane, with types as parameters. All of it wraps without undefined
// behaviour: signed values go through unsigned ones, and nothing traps (a division by zero gives
// what the hardware gives: all ones, and the dividend as the remainder).
#pragma once

#include "execute/alu/target.hpp"

namespace gpusim::GPUSIM_TARGET {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
__extension__ using u128 = unsigned __int128;
__extension__ using s128 = __int128;

template <class T>
constexpr bool kSigned = T(-1) < T(0);
template <class T>
constexpr int kBits = 8 * static_cast<int>(sizeof(T));

/// The signed and unsigned integers of a size.
template <int Bytes, bool Signed>
struct Integer;
template <>
struct Integer<1, false> {
  using type = u8;
};
template <>
struct Integer<2, false> {
  using type = u16;
};
template <>
struct Integer<4, false> {
  using type = u32;
};
template <>
struct Integer<8, false> {
  using type = u64;
};
template <>
struct Integer<16, false> {
  using type = u128;
};
template <>
struct Integer<1, true> {
  using type = s8;
};
template <>
struct Integer<2, true> {
  using type = s16;
};
template <>
struct Integer<4, true> {
  using type = s32;
};
template <>
struct Integer<8, true> {
  using type = s64;
};
template <>
struct Integer<16, true> {
  using type = s128;
};
template <class T>
using Unsigned = typename Integer<sizeof(T), false>::type;
/// Twice as wide, of the same signedness.
template <class T>
using Wide = typename Integer<2 * sizeof(T), kSigned<T>>::type;
/// Unsigned and at least 32 bits: safe from the promotion of 16-bit values to int.
template <class T>
using Calc = typename Integer<(sizeof(T) < 4 ? 4 : sizeof(T)), false>::type;

template <class T>
[[gnu::always_inline]] inline Calc<T> calc(T value) {
  return static_cast<Calc<T>>(value);
}
template <class T>
[[gnu::always_inline]] inline Wide<T> product(T a, T b) {
  using W = Calc<Wide<T>>;
  return static_cast<Wide<T>>(static_cast<W>(static_cast<Wide<T>>(a)) *
                              static_cast<W>(static_cast<Wide<T>>(b)));
}

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(calc(a) + calc(b));
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(calc(a) - calc(b));
  }
};

[[gnu::always_inline]] inline s32 clamp_s32(s64 v) {
  v = v > 0x7fffffff ? 0x7fffffff : v;
  return static_cast<s32>(v < -0x7fffffff - 1 ? -0x7fffffff - 1 : v);
}
struct AddSat {
  s32 operator()(s32 a, s32 b) const { return clamp_s32(s64{a} + b); }
};
struct SubSat {
  s32 operator()(s32 a, s32 b) const { return clamp_s32(s64{a} - b); }
};

struct MulLo {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(calc(a) * calc(b));
  }
};
struct MulHi {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(product(a, b) >> kBits<T>);
  }
};
struct MulWide {
  template <class T>
  Wide<T> operator()(T a, T b) const {
    return product(a, b);
  }
};
struct MadLo {
  template <class T>
  T operator()(T a, T b, T c) const {
    return static_cast<T>(calc(a) * calc(b) + calc(c));
  }
};
struct MadHi {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(MulHi{}(a, b), c);
  }
};
struct MadHiSat {
  s32 operator()(s32 a, s32 b, s32 c) const { return clamp_s32((s64{a} * b >> 32) + c); }
};
struct MadWide {
  template <class T>
  Wide<T> operator()(T a, T b, Wide<T> c) const {
    return Add{}(product(a, b), c);
  }
};

template <class T>
[[gnu::always_inline]] inline s64 product24(T a, T b) {
  if constexpr (kSigned<T>) {
    const s32 x = static_cast<s32>(static_cast<u32>(a) << 8) >> 8;
    const s32 y = static_cast<s32>(static_cast<u32>(b) << 8) >> 8;
    return s64{x} * y;
  } else {
    return static_cast<s64>(u64{a & 0xffffffu} * (b & 0xffffffu));
  }
}
struct Mul24Lo {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(product24(a, b));
  }
};
struct Mul24Hi {  // bits 16 to 47 of the 48-bit product
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(product24(a, b) >> 16);
  }
};
struct Mad24Lo {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(Mul24Lo{}(a, b), c);
  }
};
struct Mad24Hi {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(Mul24Hi{}(a, b), c);
  }
};
struct Mad24HiSat {
  s32 operator()(s32 a, s32 b, s32 c) const { return clamp_s32((product24(a, b) >> 16) + c); }
};

struct Sad {
  template <class T>
  T operator()(T a, T b, T c) const {
    return static_cast<T>(calc(c) + (a < b ? calc(b) - calc(a) : calc(a) - calc(b)));
  }
};

struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (sizeof(T) <= 4) {
      // A double quotient of 32-bit integers truncates to the exact one: its error is below 1/b.
      using D = Integer<4, kSigned<T>>::type;
      const bool special = b == 0 || (kSigned<T> && b == static_cast<T>(-1));
      const double divisor = special ? 1.0 : static_cast<double>(static_cast<D>(b));
      const D quotient = static_cast<D>(static_cast<double>(static_cast<D>(a)) / divisor);
      const T negated = static_cast<T>(0u - calc(a));
      return b == 0 ? static_cast<T>(-1) : special ? negated : static_cast<T>(quotient);
    } else {
      if (b == 0) return static_cast<T>(-1);
      if (kSigned<T> && b == static_cast<T>(-1)) return static_cast<T>(0u - calc(a));
      return a / b;
    }
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    const T quotient = Div{}(a, b);
    return b == 0 ? a : static_cast<T>(calc(a) - calc(quotient) * calc(b));
  }
};

struct Abs {
  template <class T>
  T operator()(T a) const {
    return a < 0 ? static_cast<T>(0u - calc(a)) : a;
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(0u - calc(a));
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};
template <class F>
struct ReluAfter {
  template <class T>
  T operator()(T a, T b) const {
    const T r = F{}(a, b);
    return r < 0 ? T{0} : r;
  }
};

/// Two 16-bit operations in one register.
template <class F, class T>
struct Pairwise {
  u32 operator()(u32 a, u32 b) const {
    const T low = F{}(static_cast<T>(a), static_cast<T>(b));
    const T high = F{}(static_cast<T>(a >> 16), static_cast<T>(b >> 16));
    return u32{static_cast<u16>(low)} | u32{static_cast<u16>(high)} << 16;
  }
};

template <class A, class B>
struct Dp4a {
  u32 operator()(u32 a, u32 b, u32 c) const {
    u32 sum = c;
    for (int i = 0; i < 32; i += 8) {
      sum += static_cast<u32>(static_cast<A>(a >> i)) * static_cast<u32>(static_cast<B>(b >> i));
    }
    return sum;
  }
};
template <class A, class B, int Shift>
struct Dp2a {
  u32 operator()(u32 a, u32 b, u32 c) const {
    return c + static_cast<u32>(static_cast<A>(a)) * static_cast<u32>(static_cast<B>(b >> Shift)) +
           static_cast<u32>(static_cast<A>(a >> 16)) *
               static_cast<u32>(static_cast<B>(b >> (Shift + 8)));
  }
};

}  // namespace gpusim::GPUSIM_TARGET
