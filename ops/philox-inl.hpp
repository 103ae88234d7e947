// Philox4x32-10 (ops/base/philox.hpp) for one vector of counters at a time, bit for bit the same
// draws. Compiled once per instruction set, like ops/simd-inl.hpp.

#if defined(INGOT_OPS_PHILOX_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef INGOT_OPS_PHILOX_INL_HPP
#undef INGOT_OPS_PHILOX_INL_HPP
#else
#define INGOT_OPS_PHILOX_INL_HPP
#endif

#include <hwy/highway.h>

#include <cstdint>

#include "ops/base/philox.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR

/// One lane holds one block, which the scalar generator draws.
template <class D>
HWY_INLINE void philox_blocks(D /*words*/, std::uint64_t seed, RandomPurpose purpose,
                              std::uint64_t index_high, std::uint64_t first_block,
                              std::uint32_t* to) {
  const auto block = philox(seed, purpose, index_high, first_block);
  for (std::size_t i = 0; i < block.size(); ++i) to[i] = block[i];
}

#else

/// Full 64-bit products of two vectors of 32-bit words, as low and high words.
template <class D>
HWY_INLINE void multiply_words(D words, hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D>& low,
                               hn::Vec<D>& high) {
  const hn::RepartitionToWide<D> wide;
  const auto even = hn::MulEven(a, b);
  const auto odd = hn::MulEven(hn::BitCast(words, hn::ShiftRight<32>(hn::BitCast(wide, a))),
                               hn::BitCast(words, hn::ShiftRight<32>(hn::BitCast(wide, b))));
  low = hn::OddEven(hn::BitCast(words, hn::ShiftLeft<32>(odd)), hn::BitCast(words, even));
  high = hn::OddEven(hn::BitCast(words, odd), hn::BitCast(words, hn::ShiftRight<32>(even)));
}

/// The words of the Lanes(words) consecutive blocks philox(seed, purpose, index_high,
/// first_block + 0, 1, 2, ...), four words a block, at to[0, 4 * Lanes(words)).
template <class D>
HWY_INLINE void philox_blocks(D words, std::uint64_t seed, RandomPurpose purpose,
                              std::uint64_t index_high, std::uint64_t first_block,
                              std::uint32_t* to) {
  using Words = hn::Vec<D>;
  const auto low_word = static_cast<std::uint32_t>(first_block);
  Words counter0 = hn::Add(hn::Set(words, low_word), hn::Iota(words, 0U));
  // Lanes whose low word wrapped around carry into the high word.
  const auto wrapped = hn::Lt(counter0, hn::Set(words, low_word));
  const Words carry = hn::IfThenElseZero(wrapped, hn::Set(words, 1U));
  Words counter1 = hn::Add(hn::Set(words, static_cast<std::uint32_t>(first_block >> 32)), carry);
  Words counter2 = hn::Set(words, static_cast<std::uint32_t>(index_high));
  Words counter3 = hn::Set(words, static_cast<std::uint32_t>(index_high >> 32));
  auto key0 = static_cast<std::uint32_t>(seed);
  auto key1 =
      static_cast<std::uint32_t>(seed >> 32) ^ (static_cast<std::uint32_t>(purpose) * 0x85ebca6bU);
  const Words multiplier0 = hn::Set(words, 0xD2511F53U);
  const Words multiplier1 = hn::Set(words, 0xCD9E8D57U);
  for (int round = 0; round < 10; ++round) {
    Words low0;
    Words high0;
    Words low1;
    Words high1;
    multiply_words(words, counter0, multiplier0, low0, high0);
    multiply_words(words, counter2, multiplier1, low1, high1);
    counter0 = hn::Xor(hn::Xor(high1, counter1), hn::Set(words, key0));
    counter1 = low1;
    counter2 = hn::Xor(hn::Xor(high0, counter3), hn::Set(words, key1));
    counter3 = low0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  hn::StoreInterleaved4(counter0, counter1, counter2, counter3, words, to);
}

#endif  // HWY_SCALAR

}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
