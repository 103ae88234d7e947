// See rope_simd.hpp. This file is read once per instruction set by Highway's foreach_target.
#include "ops/rope/rope_simd.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rope/rope_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

template <typename Element>
void rotate(const void* from, void* to, std::int64_t heads, std::int64_t head_size,
            const float* cosines, const float* sines) {
  const FloatTag d;
  const std::int64_t half = head_size / 2;
  for (std::int64_t h = 0; h < heads; ++h) {
    const Element* x = static_cast<const Element*>(from) + h * head_size;
    Element* y = static_cast<Element*>(to) + h * head_size;
    for_each_vector(d, half, [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto first = load(d, x + i, extent);
      const auto second = load(d, x + half + i, extent);
      const auto cosine = load(d, cosines + i, extent);
      const auto sine = load(d, sines + i, extent);
      store(d, hn::NegMulAdd(second, sine, hn::Mul(first, cosine)), y + i, extent);
      store(d, hn::MulAdd(first, sine, hn::Mul(second, cosine)), y + half + i, extent);
    });
  }
}

void rotate_f32(const void* x, void* y, std::int64_t heads, std::int64_t head_size,
                const float* cosines, const float* sines) {
  rotate<float>(x, y, heads, head_size, cosines, sines);
}
void rotate_bf16(const void* x, void* y, std::int64_t heads, std::int64_t head_size,
                 const float* cosines, const float* sines) {
  rotate<Bf16>(x, y, heads, head_size, cosines, sines);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {
HWY_EXPORT(rotate_f32);
HWY_EXPORT(rotate_bf16);

void cpu::rotate_heads(DType dtype, const void* x, void* y, std::int64_t heads,
                       std::int64_t head_size, const float* cosines, const float* sines) {
  if (dtype == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(rotate_bf16)(x, y, heads, head_size, cosines, sines);
  } else {
    HWY_DYNAMIC_DISPATCH(rotate_f32)(x, y, heads, head_size, cosines, sines);
  }
}
}  // namespace ingot
#endif  // HWY_ONCE
