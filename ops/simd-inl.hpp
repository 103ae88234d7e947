// What the SIMD kernels of several ops share: vectors of float loaded from and stored to f32 or
// bf16 memory, exp and sigmoid, sums over lanes. Compiled once per instruction set by the kernels
// that include it (Highway's foreach_target), so it belongs inside no other header.
//
// Loops run over whole vectors and end with one partial vector; `Whole` and `Part` say which, so
// that a loop body is written once:
//   for_each_vector(d, count, [&](std::int64_t i, auto extent) HWY_ATTR {
//     store(d, Add(load(d, a + i, extent), load(d, b + i, extent)), y + i, extent);
//   });

// Highway's per-target guard: this header is read again for every instruction set.
#if defined(INGOT_OPS_SIMD_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef INGOT_OPS_SIMD_INL_HPP
#undef INGOT_OPS_SIMD_INL_HPP
#else
#define INGOT_OPS_SIMD_INL_HPP
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "ops/base/bf16.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// The widest vector of floats, and the integers and halves that go with it.
using FloatTag = hn::ScalableTag<float>;
using Floats = hn::Vec<FloatTag>;

/// A vector whose lanes all hold elements.
struct Whole {};
/// A vector of which the first `lanes` hold elements; 0 < lanes < Lanes(d).
struct Part {
  std::size_t lanes;
};

/// Number of elements that a loop body handles.
template <class D>
HWY_INLINE std::size_t lanes_of([[maybe_unused]] D d, Whole /*extent*/) {
  return hn::Lanes(d);
}
template <class D>
HWY_INLINE std::size_t lanes_of(D /*d*/, Part extent) {
  return extent.lanes;
}

/// Calls body(i, extent) for i = 0, N, 2N, ... below count, N being the lanes of `d`.
template <class D, class Body>
HWY_INLINE void for_each_vector([[maybe_unused]] D d, std::int64_t count, Body&& body) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(i, Whole{});
  if (i < count) body(i, Part{static_cast<std::size_t>(count - i)});
}

/// Sums over all elements: sum = body(i, extent, sum) for i as in for_each_vector, with four sums
/// taking turns, so that an addition need not wait for the one before it. Returns their total.
template <class D, class Body>
HWY_INLINE hn::Vec<D> sum_vectors(D d, std::int64_t count, Body&& body) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    sum0 = body(i, Whole{}, sum0);
    sum1 = body(i + lanes, Whole{}, sum1);
    sum2 = body(i + 2 * lanes, Whole{}, sum2);
    sum3 = body(i + 3 * lanes, Whole{}, sum3);
  }
  for (; i + lanes <= count; i += lanes) sum0 = body(i, Whole{}, sum0);
  if (i < count) sum1 = body(i, Part{static_cast<std::size_t>(count - i)}, sum1);
  return hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3));
}

/// bf16 bits (in the low half of each word) as floats: exact.
template <class D, class Words>
HWY_INLINE hn::Vec<D> floats_of_bf16(D d, Words bits) {
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

/// Floats rounded to nearest even as bf16 bits in the low half of each word; NaN stays NaN (quiet).
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> bf16_of_floats(D /*tag*/, hn::Vec<D> values) {
  const hn::RebindToUnsigned<D> words;
  const auto bits = hn::BitCast(words, values);
  const auto upper = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(upper, hn::Set(words, 1U));
  const auto rounded = hn::ShiftRight<16>(hn::Add(hn::Add(bits, hn::Set(words, 0x7fffU)), odd));
  const auto quiet = hn::Or(upper, hn::Set(words, 0x40U));
  return hn::IfThenElse(hn::RebindMask(words, hn::IsNaN(values)), quiet, rounded);
}

/// Floats at `from`; lanes beyond a Part are zero.
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* from, Whole /*extent*/) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* from, Part extent) {
  HWY_ALIGN float lanes[hn::MaxLanes(d)] = {};
  std::memcpy(lanes, from, extent.lanes * sizeof(float));
  return hn::Load(d, lanes);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const Bf16* from, Whole /*extent*/) {
  const hn::RebindToUnsigned<D> words;
  const hn::Rebind<std::uint16_t, D> halves;
  const auto* bits = reinterpret_cast<const std::uint16_t*>(from);
  return floats_of_bf16(d, hn::PromoteTo(words, hn::LoadU(halves, bits)));
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const Bf16* from, Part extent) {
  HWY_ALIGN Bf16 lanes[hn::MaxLanes(d)] = {};
  std::memcpy(lanes, from, extent.lanes * sizeof(Bf16));
  return load(d, lanes, Whole{});
}

/// Writes the vector to `to`, of a Part only the lanes that hold elements.
template <class D>
HWY_INLINE void store(D d, hn::Vec<D> values, float* to, Whole /*extent*/) {
  hn::StoreU(values, d, to);
}
template <class D>
HWY_INLINE void store(D d, hn::Vec<D> values, float* to, Part extent) {
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  hn::Store(values, d, lanes);
  std::memcpy(to, lanes, extent.lanes * sizeof(float));
}
template <class D>
HWY_INLINE void store(D d, hn::Vec<D> values, Bf16* to, Whole /*extent*/) {
  const hn::RebindToSigned<D> words;
  const hn::Rebind<std::uint16_t, D> halves;
  const auto bits = hn::BitCast(words, bf16_of_floats(d, values));
  hn::StoreU(hn::DemoteTo(halves, bits), halves, reinterpret_cast<std::uint16_t*>(to));
}
template <class D>
HWY_INLINE void store(D d, hn::Vec<D> values, Bf16* to, Part extent) {
  HWY_ALIGN Bf16 lanes[hn::MaxLanes(d)];
  store(d, values, lanes, Whole{});
  std::memcpy(to, lanes, extent.lanes * sizeof(Bf16));
}

/// Lanes beyond a Part replaced by `filler`, for maxima and sums.
template <class D>
HWY_INLINE hn::Vec<D> fill_rest(D /*d*/, hn::Vec<D> values, float /*filler*/, Whole /*extent*/) {
  return values;
}
template <class D>
HWY_INLINE hn::Vec<D> fill_rest(D d, hn::Vec<D> values, float filler, Part extent) {
  return hn::IfThenElse(hn::FirstN(d, extent.lanes), values, hn::Set(d, filler));
}

/// Sum and maximum over the lanes. The order of the sum is the instruction set's own.
template <class D>
HWY_INLINE float sum_of_lanes(D d, hn::Vec<D> values) {
  return hn::GetLane(hn::SumOfLanes(d, values));
}
template <class D>
HWY_INLINE float max_of_lanes(D d, hn::Vec<D> values) {
  return hn::GetLane(hn::MaxOfLanes(d, values));
}

/// e^x to one unit in the last place; 0 where the result would be subnormal, infinity above
/// 88.72, NaN for NaN. Method: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial for e^r fitted at
/// Chebyshev nodes (relative error 1.1e-8), and n added to the exponent.
template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const hn::RebindToUnsigned<D> words;
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
  const auto rounder = hn::Set(d, 12582912.0F);
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269502F), rounder);
  const auto n = hn::Sub(shifted, rounder);
  // ln 2 in two parts; the first has so few bits that n times it is exact.
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693145751953125F), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.4286067653e-06F), r);
  auto polynomial = hn::Set(d, 1.3926213142e-03F);
  polynomial = hn::MulAdd(polynomial, r, hn::Set(d, 8.3632031456e-03F));
  polynomial = hn::MulAdd(polynomial, r, hn::Set(d, 4.1666556150e-02F));
  polynomial = hn::MulAdd(polynomial, r, hn::Set(d, 1.6666576266e-01F));
  polynomial = hn::MulAdd(polynomial, r, hn::Set(d, 0.5F));
  polynomial = hn::MulAdd(polynomial, hn::Mul(r, r), r);
  const auto mantissa = hn::Add(polynomial, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(words, shifted));
  auto result = hn::BitCast(d, hn::Add(hn::BitCast(words, mantissa), exponent));
  result = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.7228317F)),
                          hn::Set(d, std::numeric_limits<float>::infinity()), result);
  result = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.3365402F)), result);
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

/// 1 / (1 + e^-x), with a small relative error also where it is near 0.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, exp(d, hn::Neg(x))));
}

}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
