// One head of attention over the key/value cache; see attention_simd.hpp. A query is one row, so
// products are dot products and weighted sums of rows, bound by reading the cache once.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention/attention_cached_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/attention/attention_simd.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

using cpu::CachedHead;

/// scores[n] = scale * query . key[n]; four keys at a time keep as many sums in flight.
template <typename Element>
HWY_INLINE void score_keys(const CachedHead& head, const Element* query, std::int64_t visible,
                           float scale) {
  const FloatTag d;
  const auto* keys = static_cast<const Element*>(head.keys);
  const std::int64_t stride = head.cache_stride;
  std::int64_t n = 0;
  for (; n + 4 <= visible; n += 4) {
    const Element* row = keys + n * stride;
    auto sum0 = hn::Zero(d);
    auto sum1 = sum0;
    auto sum2 = sum0;
    auto sum3 = sum0;
    for_each_vector(d, head.head_size, [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto value = load(d, query + i, extent);
      sum0 = hn::MulAdd(value, load(d, row + i, extent), sum0);
      sum1 = hn::MulAdd(value, load(d, row + stride + i, extent), sum1);
      sum2 = hn::MulAdd(value, load(d, row + 2 * stride + i, extent), sum2);
      sum3 = hn::MulAdd(value, load(d, row + 3 * stride + i, extent), sum3);
    });
    head.scores[n] = scale * sum_of_lanes(d, sum0);
    head.scores[n + 1] = scale * sum_of_lanes(d, sum1);
    head.scores[n + 2] = scale * sum_of_lanes(d, sum2);
    head.scores[n + 3] = scale * sum_of_lanes(d, sum3);
  }
  for (; n < visible; ++n) {
    auto sum = hn::Zero(d);
    for_each_vector(d, head.head_size, [&](std::int64_t i, auto extent) HWY_ATTR {
      sum = hn::MulAdd(load(d, query + i, extent), load(d, keys + n * stride + i, extent), sum);
    });
    head.scores[n] = scale * sum_of_lanes(d, sum);
  }
}

/// scores[n] = exp(scores[n] - maximum); returns their sum.
HWY_INLINE float exponentiate(float* scores, std::int64_t visible) {
  const FloatTag d;
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  auto largest = hn::Set(d, kMinusInfinity);
  for_each_vector(d, visible, [&](std::int64_t i, auto extent) HWY_ATTR {
    largest = hn::Max(largest, fill_rest(d, load(d, scores + i, extent), kMinusInfinity, extent));
  });
  const auto maximum = hn::Set(d, max_of_lanes(d, largest));
  auto sum = hn::Zero(d);
  for_each_vector(d, visible, [&](std::int64_t i, auto extent) HWY_ATTR {
    const auto value = exp(d, hn::Sub(load(d, scores + i, extent), maximum));
    store(d, value, scores + i, extent);
    sum = hn::Add(sum, fill_rest(d, value, 0, extent));
  });
  return sum_of_lanes(d, sum);
}

template <typename Element>
void cached_head(const CachedHead& head) {
  const FloatTag d;
  const float scale = 1.0F / std::sqrt(static_cast<float>(head.head_size));
  for (std::int64_t q = 0; q < head.count; ++q) {
    const std::int64_t visible = std::min(head.visible + q, head.capacity);
    score_keys(head, static_cast<const Element*>(head.queries) + q * head.query_stride, visible,
               scale);
    const auto inverse = hn::Set(d, 1.0F / exponentiate(head.scores, visible));
    const auto* values = static_cast<const Element*>(head.values);
    Element* out = static_cast<Element*>(head.out) + q * head.out_stride;
    for_each_vector(d, head.head_size, [&](std::int64_t i, auto extent) HWY_ATTR {
      // Two sums, of even and odd rows, halve the chain of dependent additions.
      auto even = hn::Zero(d);
      auto odd = hn::Zero(d);
      const Element* row = values + i;
      std::int64_t n = 0;
      for (; n + 2 <= visible; n += 2, row += 2 * head.cache_stride) {
        even = hn::MulAdd(hn::Set(d, head.scores[n]), load(d, row, extent), even);
        odd = hn::MulAdd(hn::Set(d, head.scores[n + 1]), load(d, row + head.cache_stride, extent),
                         odd);
      }
      if (n < visible) even = hn::MulAdd(hn::Set(d, head.scores[n]), load(d, row, extent), even);
      store(d, hn::Mul(hn::Add(even, odd), inverse), out + i, extent);
    });
  }
}

void cached_head_f32(const CachedHead& head) {
  cached_head<float>(head);
}
void cached_head_bf16(const CachedHead& head) {
  cached_head<Bf16>(head);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {
HWY_EXPORT(cached_head_f32);
HWY_EXPORT(cached_head_bf16);

void cpu::attention_cached_head(DType dtype, const CachedHead& head) {
  if (dtype == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(cached_head_bf16)(head);
  } else {
    HWY_DYNAMIC_DISPATCH(cached_head_f32)(head);
  }
}
}  // namespace ingot
#endif  // HWY_ONCE
