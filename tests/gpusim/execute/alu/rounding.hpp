// Runs vector code under a directed rounding mode of the processor. The code must take its inputs
// from memory and leave its results in memory that `escape` has seen, so that the compiler cannot
// move arithmetic out of the bracket.
#pragma once

#include "execute/alu/target.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace gpusim::GPUSIM_TARGET {

/// The compiler must assume that memory behind the pointer is read and written here.
[[gnu::always_inline]] inline void escape(void* memory) {
  __asm__ volatile("" : : "r"(memory) : "memory");
}

template <Round R, class F>
[[gnu::always_inline]] inline void under_rounding(void* results, F body) {
  static_assert(R == Round::kRz || R == Round::kRm || R == Round::kRp);
#if defined(__x86_64__)
  constexpr unsigned kMode = R == Round::kRz   ? _MM_ROUND_TOWARD_ZERO
                             : R == Round::kRm ? _MM_ROUND_DOWN
                                               : _MM_ROUND_UP;
  const unsigned before = _mm_getcsr();
  _mm_setcsr((before & ~static_cast<unsigned>(_MM_ROUND_MASK)) | kMode);
  escape(results);
  body();
  escape(results);
  _mm_setcsr(before);
#else
  const int before = fegetround();
  fesetround(R == Round::kRz ? FE_TOWARDZERO : R == Round::kRm ? FE_DOWNWARD : FE_UPWARD);
  escape(results);
  body();
  escape(results);
  fesetround(before);
#endif
}

/// run<F, D, Sources...> under a rounding mode.
template <Round R, class F, class D, class A>
[[gnu::flatten]] void run_rounded(const AluOperands& o, std::uint32_t mask) {
  alignas(64) RowOf<D> r[kLanes];
  const void* const a = o.a;
  under_rounding<R>(r, [&] {
    for (int i = 0; i < kLanes; ++i) r[i] = give<D>(F{}(take<A>(a, i)));
  });
  commit(o.d, r, mask);
}
template <Round R, class F, class D, class A, class B>
[[gnu::flatten]] void run_rounded(const AluOperands& o, std::uint32_t mask) {
  alignas(64) RowOf<D> r[kLanes];
  const void *const a = o.a, *const b = o.b;
  under_rounding<R>(r, [&] {
    for (int i = 0; i < kLanes; ++i) r[i] = give<D>(F{}(take<A>(a, i), take<B>(b, i)));
  });
  commit(o.d, r, mask);
}
template <Round R, class F, class D, class A, class B, class C>
[[gnu::flatten]] void run_rounded(const AluOperands& o, std::uint32_t mask) {
  alignas(64) RowOf<D> r[kLanes];
  const void *const a = o.a, *const b = o.b, *const c = o.c;
  under_rounding<R>(r, [&] {
    for (int i = 0; i < kLanes; ++i) {
      r[i] = give<D>(F{}(take<A>(a, i), take<B>(b, i), take<C>(c, i)));
    }
  });
  commit(o.d, r, mask);
}

template <Round R, class F, class D, class... Sources>
AluEntry rounded_entry() {
  AluEntry e = entry<F, D, Sources...>();
  e.function = run_rounded<R, F, D, Sources...>;
  return e;
}

}  // namespace gpusim::GPUSIM_TARGET
