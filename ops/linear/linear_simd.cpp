// See linear_simd.hpp. This file is read once per instruction set by Highway's foreach_target.
#include "ops/linear/linear_simd.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/linear/linear_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

using cpu::TileFinish;

void convert_rows(const Bf16* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                  std::int64_t rows, std::int64_t columns) {
  const FloatTag d;
  for (std::int64_t r = 0; r < rows; ++r) {
    const Bf16* row = from + r * from_stride;
    float* out = to + r * to_stride;
    for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      store(d, load(d, row + i, extent), out + i, extent);
    });
  }
}

/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), written with a sigmoid: 1 + tanh(u) is
/// 2 sigmoid(2u).
HWY_INLINE Floats gelu_of(FloatTag d, Floats x) {
  const auto square = hn::Mul(x, x);
  const auto slope =
      hn::MulAdd(square, hn::Set(d, 2 * 0.7978845608F * 0.044715F), hn::Set(d, 2 * 0.7978845608F));
  return hn::Mul(x, sigmoid(d, hn::Mul(x, slope)));
}

template <typename Element>
void gelu_rows(const Element* pre, Element* y, std::int64_t stride, std::int64_t rows,
               std::int64_t columns) {
  const FloatTag d;
  for (std::int64_t r = 0; r < rows; ++r) {
    const Element* from = pre + r * stride;
    Element* to = y + r * stride;
    for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      store(d, gelu_of(d, load(d, from + i, extent)), to + i, extent);
    });
  }
}

template <typename Element>
void finish_rows(const TileFinish& tile) {
  const FloatTag d;
  const auto* bias = static_cast<const Element*>(tile.bias);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const float* product = tile.product + r * tile.product_stride;
    Element* y = static_cast<Element*>(tile.y) + r * tile.y_stride;
    Element* sum = tile.gelu ? static_cast<Element*>(tile.pre) + r * tile.y_stride : y;
    for_each_vector(d, tile.columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      auto value = load(d, product + i, extent);
      if (bias != nullptr) value = hn::Add(value, load(d, bias + i, extent));
      if (tile.accumulate) value = hn::Add(value, load(d, y + i, extent));
      store(d, value, sum + i, extent);
    });
    if (tile.gelu) gelu_rows(sum, y, 0, 1, tile.columns);
  }
}

template <typename Element>
void sum_rows(const Element* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
              float* sums, bool accumulate) {
  const FloatTag d;
  constexpr std::int64_t kBlock = 64;
  for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
    auto total = accumulate ? load(d, sums + i, extent) : hn::Zero(d);
    for (std::int64_t first = 0; first < rows; first += kBlock) {
      auto block = hn::Zero(d);
      const std::int64_t end = std::min(rows, first + kBlock);
      for (std::int64_t r = first; r < end; ++r) {
        block = hn::Add(block, load(d, from + r * stride + i, extent));
      }
      total = hn::Add(total, block);
    }
    store(d, total, sums + i, extent);
  });
}

void finish_tile_f32(const TileFinish& tile) {
  finish_rows<float>(tile);
}
void finish_tile_bf16(const TileFinish& tile) {
  finish_rows<Bf16>(tile);
}
void gelu_f32(const float* pre, float* y, std::int64_t stride, std::int64_t rows,
              std::int64_t columns) {
  gelu_rows(pre, y, stride, rows, columns);
}
void gelu_bf16(const Bf16* pre, Bf16* y, std::int64_t stride, std::int64_t rows,
               std::int64_t columns) {
  gelu_rows(pre, y, stride, rows, columns);
}
void sum_rows_f32(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                  float* sums, bool accumulate) {
  sum_rows(from, stride, rows, columns, sums, accumulate);
}
void sum_rows_bf16(const Bf16* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                   float* sums, bool accumulate) {
  sum_rows(from, stride, rows, columns, sums, accumulate);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {
HWY_EXPORT(convert_rows);
HWY_EXPORT(finish_tile_f32);
HWY_EXPORT(finish_tile_bf16);
HWY_EXPORT(gelu_f32);
HWY_EXPORT(gelu_bf16);
HWY_EXPORT(sum_rows_f32);
HWY_EXPORT(sum_rows_bf16);
}  // namespace ingot

namespace ingot::cpu {

void convert_to_float(const Bf16* from, std::int64_t from_stride, float* to, std::int64_t to_stride,
                      std::int64_t rows, std::int64_t columns) {
  HWY_DYNAMIC_DISPATCH(convert_rows)(from, from_stride, to, to_stride, rows, columns);
}

void finish_tile(DType output, const TileFinish& tile) {
  if (output == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(finish_tile_bf16)(tile);
  } else {
    HWY_DYNAMIC_DISPATCH(finish_tile_f32)(tile);
  }
}

void gelu_tile(DType dtype, const void* pre, void* y, std::int64_t stride, std::int64_t rows,
               std::int64_t columns) {
  if (dtype == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(gelu_bf16)
    (static_cast<const Bf16*>(pre), static_cast<Bf16*>(y), stride, rows, columns);
  } else {
    HWY_DYNAMIC_DISPATCH(gelu_f32)
    (static_cast<const float*>(pre), static_cast<float*>(y), stride, rows, columns);
  }
}

void sum_columns(DType dtype, const void* from, std::int64_t stride, std::int64_t rows,
                 std::int64_t columns, float* sums, bool accumulate) {
  if (dtype == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(sum_rows_bf16)
    (static_cast<const Bf16*>(from), stride, rows, columns, sums, accumulate);
  } else {
    HWY_DYNAMIC_DISPATCH(sum_rows_f32)
    (static_cast<const float*>(from), stride, rows, columns, sums, accumulate);
  }
}

}  // namespace ingot::cpu
#endif  // HWY_ONCE
