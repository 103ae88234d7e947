// What every *.vec.cpp file of execute/ builds on: reading and writing register rows as typed
// lanes. The file is compiled once per instruction set, with GPUSIM_TARGET naming the namespace.
//
// An operation is a functor over scalars; apply() runs it over 32 lanes in a loop that GCC turns
// into vectors. Idle lanes are computed too, and get their old values back by blending. Never
// masked stores: they break store-to-load forwarding.
#pragma once

#include <cstdint>

#include "execute/alu.hpp"
#include "execute/alu/form.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef GPUSIM_TARGET
#error "compile *.vec.cpp with -DGPUSIM_TARGET=<namespace>"
#endif

namespace gpusim::GPUSIM_TARGET {

constexpr std::uint32_t kAllLanes = 0xffffffffu;

// Own names, because std::bit_cast and std::conditional_t are fine but std functions are not: an
// inline function of the standard library compiled here might be the one copy the linker keeps.
template <class To, class From>
[[gnu::always_inline]] constexpr To bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, value);
}

template <int Bytes>
struct RowWord {
  using type = std::uint32_t;
};
template <>
struct RowWord<8> {
  using type = std::uint64_t;
};
/// The element type of a row that holds T.
template <class T>
using RowOf = typename RowWord<sizeof(T)>::type;

template <int Bytes>
struct BitsOfSize;
template <>
struct BitsOfSize<1> {
  using type = std::uint8_t;
};
template <>
struct BitsOfSize<2> {
  using type = std::uint16_t;
};
template <>
struct BitsOfSize<4> {
  using type = std::uint32_t;
};
template <>
struct BitsOfSize<8> {
  using type = std::uint64_t;
};
template <class T>
using BitsOf = typename BitsOfSize<sizeof(T)>::type;

/// Lane i of a row of T.
template <class T>
[[gnu::always_inline]] inline T take(const void* row, int i) {
  return bits<T>(static_cast<BitsOf<T>>(static_cast<const RowOf<T>*>(row)[i]));
}

/// The row element that holds `value`: narrow values are zero-extended.
template <class T>
[[gnu::always_inline]] inline RowOf<T> give(T value) {
  return bits<BitsOf<T>>(value);
}

/// All ones where the lane is active, else zero, as wide as a row element.
template <class Word>
[[gnu::always_inline]] inline Word lane_select(std::uint32_t mask, int lane) {
  return static_cast<Word>(
      static_cast<std::int64_t>(static_cast<std::int32_t>(mask << (31 - lane)) >> 31));
}

template <class Word>
[[gnu::always_inline]] inline void blend(Word* d, const Word* active, const Word* idle,
                                         std::uint32_t mask) {
  for (int i = 0; i < kLanes; ++i) {
    const Word select = lane_select<Word>(mask, i);
    d[i] = (active[i] & select) | (idle[i] & ~select);
  }
}

template <class Word>
[[gnu::always_inline]] inline void commit(void* destination, const Word* result,
                                          std::uint32_t mask) {
  Word* d = static_cast<Word*>(destination);
  if (mask == kAllLanes) [[likely]] {
    for (int i = 0; i < kLanes; ++i) d[i] = result[i];
  } else {
    alignas(64) Word old[kLanes];
    for (int i = 0; i < kLanes; ++i) old[i] = d[i];
    blend(d, result, old, mask);
  }
}

/// Replaces the bits of `mask` in a predicate word.
[[gnu::always_inline]] inline void commit_predicate(void* destination, std::uint32_t result,
                                                    std::uint32_t mask) {
  std::uint32_t* d = static_cast<std::uint32_t*>(destination);
  *d = (*d & ~mask) | (result & mask);
}

/// Computes lane(i) for all lanes. InPlace: straight into the destination, which may be one of the
/// sources (lane i reads only element i), the idle lanes being restored afterwards. Otherwise,
/// where row widths differ, through a local row.
template <class Word, bool InPlace, class F>
[[gnu::always_inline]] inline void for_lanes(void* destination, std::uint32_t mask, F lane) {
  alignas(64) Word row[kLanes];
  if constexpr (InPlace) {
    Word* d = static_cast<Word*>(destination);
    if (mask != kAllLanes) [[unlikely]] {
      for (int i = 0; i < kLanes; ++i) row[i] = d[i];
    }
#pragma GCC ivdep
    for (int i = 0; i < kLanes; ++i) d[i] = lane(i);
    if (mask != kAllLanes) [[unlikely]]
      blend(d, d, row, mask);
  } else {
    for (int i = 0; i < kLanes; ++i) row[i] = lane(i);
    commit(destination, row, mask);
  }
}

template <class D, class... Sources>
constexpr bool kSameRows = ((sizeof(RowOf<D>) == sizeof(RowOf<Sources>)) && ...);

template <class D, class A, class F>
[[gnu::always_inline]] inline void apply(const AluOperands& o, std::uint32_t mask, F f) {
  const void* const a = o.a;
  for_lanes<RowOf<D>, kSameRows<D, A>>(o.d, mask, [=](int i) { return give<D>(f(take<A>(a, i))); });
}

template <class D, class A, class B, class F>
[[gnu::always_inline]] inline void apply(const AluOperands& o, std::uint32_t mask, F f) {
  const void *const a = o.a, *const b = o.b;
  for_lanes<RowOf<D>, kSameRows<D, A, B>>(
      o.d, mask, [=](int i) { return give<D>(f(take<A>(a, i), take<B>(b, i))); });
}

template <class D, class A, class B, class C, class F>
[[gnu::always_inline]] inline void apply(const AluOperands& o, std::uint32_t mask, F f) {
  const void *const a = o.a, *const b = o.b, *const c = o.c;
  for_lanes<RowOf<D>, kSameRows<D, A, B, C>>(
      o.d, mask, [=](int i) { return give<D>(f(take<A>(a, i), take<B>(b, i), take<C>(c, i))); });
}

template <class D, class A, class B, class C, class E, class F>
[[gnu::always_inline]] inline void apply(const AluOperands& o, std::uint32_t mask, F f) {
  const void *const a = o.a, *const b = o.b, *const c = o.c, *const e = o.e;
  for_lanes<RowOf<D>, kSameRows<D, A, B, C, E>>(o.d, mask, [=](int i) {
    return give<D>(f(take<A>(a, i), take<B>(b, i), take<C>(c, i), take<E>(e, i)));
  });
}

/// An AluFunction made of a functor type: F's call operator over scalars of these types. Flattened,
/// because a call that is left in the loop keeps it from being vectorised.
template <class F, class D, class... Sources>
[[gnu::flatten]] void run(const AluOperands& o, std::uint32_t mask) {
  apply<D, Sources...>(o, mask, F{});
}

/// Row width of a type in bits, as AluEntry says it.
template <class T>
constexpr int kRowBits = sizeof(T) == 8 ? 64 : 32;

/// The entry of run<F, D, Sources...>.
template <class F, class D, class A>
AluEntry entry() {
  AluEntry e;
  e.function = run<F, D, A>;
  e.d_bits = kRowBits<D>;
  e.a_bits = kRowBits<A>;
  return e;
}
template <class F, class D, class A, class B>
AluEntry entry() {
  AluEntry e;
  e.function = run<F, D, A, B>;
  e.d_bits = kRowBits<D>;
  e.a_bits = kRowBits<A>;
  e.b_bits = kRowBits<B>;
  return e;
}
template <class F, class D, class A, class B, class C>
AluEntry entry() {
  AluEntry e;
  e.function = run<F, D, A, B, C>;
  e.d_bits = kRowBits<D>;
  e.a_bits = kRowBits<A>;
  e.b_bits = kRowBits<B>;
  e.c_bits = kRowBits<C>;
  return e;
}
template <class F, class D, class A, class B, class C, class E>
AluEntry entry() {
  AluEntry e;
  e.function = run<F, D, A, B, C, E>;
  e.d_bits = kRowBits<D>;
  e.a_bits = kRowBits<A>;
  e.b_bits = kRowBits<B>;
  e.c_bits = kRowBits<C>;
  e.e_bits = kRowBits<E>;
  return e;
}

/// Marks an entry whose sources are floats, so that decimal literals become such bits.
[[gnu::always_inline]] inline AluEntry with_float_sources(AluEntry e) {
  e.float_sources = true;
  return e;
}

/// Gathers flags[i] (zero or not, in all bits) of 32 lanes to one bit per lane.
[[gnu::always_inline]] inline std::uint32_t lane_bits(const std::uint32_t* flags) {
#if defined(__AVX512DQ__)
  const __m512i low = _mm512_load_si512(flags);
  const __m512i high = _mm512_load_si512(flags + 16);
  return static_cast<std::uint32_t>(_mm512_movepi32_mask(low)) |
         static_cast<std::uint32_t>(_mm512_movepi32_mask(high)) << 16;
#elif defined(__AVX2__)
  std::uint32_t result = 0;
  for (int part = 0; part < 4; ++part) {
    const __m256i v = _mm256_load_si256(reinterpret_cast<const __m256i*>(flags + part * 8));
    result |= static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(v))) << (part * 8);
  }
  return result;
#else
  std::uint32_t result = 0;
  for (int i = 0; i < kLanes; ++i) result |= (flags[i] & 1u) << i;
  return result;
#endif
}

/// The lookups of the families, one per *.vec.cpp file. An entry without a function: not mine.
AluEntry find_integer(const Form& form);
AluEntry find_carry(const Form& form);
AluEntry find_bits(const Form& form);
AluEntry find_video(const Form& form);
AluEntry find_float(const Form& form);
AluEntry find_rounded(const Form& form);
AluEntry find_approximate(const Form& form);
AluEntry find_half(const Form& form);
AluEntry find_compare(const Form& form);
AluEntry find_select(const Form& form);
AluEntry find_convert(const Form& form);
AluEntry find_convert_integer(const Form& form);
AluEntry find_convert_packed(const Form& form);

}  // namespace gpusim::GPUSIM_TARGET
