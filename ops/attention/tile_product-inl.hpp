// The register tile behind all of attention's products: six rows by two vectors of columns, and
// the packing of its right operand into panels. Compiled once per instruction set.
//
// A panel holds kPanel consecutive columns of a matrix [depth, columns], row after row without
// gaps, so that the inner loop reads it as one stream. Panels follow each other.
#if defined(INGOT_OPS_ATTENTION_TILE_PRODUCT_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef INGOT_OPS_ATTENTION_TILE_PRODUCT_INL_HPP
#undef INGOT_OPS_ATTENTION_TILE_PRODUCT_INL_HPP
#else
#define INGOT_OPS_ATTENTION_TILE_PRODUCT_INL_HPP
#endif

#include <algorithm>
#include <cstdint>

#include "ops/attention/attention_simd.hpp"
#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

using cpu::kTileRows;
static_assert(kTileRows == 6);
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(FloatTag()));
constexpr std::int64_t kPanel = 2 * kLanes;

/// c[6, kPanel] (+)= a[6, depth] panel[depth, kPanel]. Element (r, k) of a is a[r * a_stride + k],
/// or a[k * a_stride + r] where a is stored transposed.
template <bool kTransposed>
HWY_INLINE void multiply_tile(const float* HWY_RESTRICT a, std::int64_t a_stride,
                              const float* HWY_RESTRICT panel, std::int64_t depth,
                              float* HWY_RESTRICT c, std::int64_t c_stride, bool accumulate) {
  const FloatTag d;
  Floats sum00 = hn::Zero(d), sum01 = sum00, sum10 = sum00, sum11 = sum00;
  Floats sum20 = sum00, sum21 = sum00, sum30 = sum00, sum31 = sum00;
  Floats sum40 = sum00, sum41 = sum00, sum50 = sum00, sum51 = sum00;
  if (accumulate) {
    sum00 = hn::LoadU(d, c), sum01 = hn::LoadU(d, c + kLanes);
    sum10 = hn::LoadU(d, c + c_stride), sum11 = hn::LoadU(d, c + c_stride + kLanes);
    sum20 = hn::LoadU(d, c + 2 * c_stride), sum21 = hn::LoadU(d, c + 2 * c_stride + kLanes);
    sum30 = hn::LoadU(d, c + 3 * c_stride), sum31 = hn::LoadU(d, c + 3 * c_stride + kLanes);
    sum40 = hn::LoadU(d, c + 4 * c_stride), sum41 = hn::LoadU(d, c + 4 * c_stride + kLanes);
    sum50 = hn::LoadU(d, c + 5 * c_stride), sum51 = hn::LoadU(d, c + 5 * c_stride + kLanes);
  }
  const std::int64_t row = kTransposed ? 1 : a_stride;
  const std::int64_t step = kTransposed ? a_stride : 1;
  for (std::int64_t k = 0; k < depth; ++k) {
    const auto b0 = hn::LoadU(d, panel);
    const auto b1 = hn::LoadU(d, panel + kLanes);
    auto value = hn::Set(d, a[0]);
    sum00 = hn::MulAdd(value, b0, sum00), sum01 = hn::MulAdd(value, b1, sum01);
    value = hn::Set(d, a[row]);
    sum10 = hn::MulAdd(value, b0, sum10), sum11 = hn::MulAdd(value, b1, sum11);
    value = hn::Set(d, a[2 * row]);
    sum20 = hn::MulAdd(value, b0, sum20), sum21 = hn::MulAdd(value, b1, sum21);
    value = hn::Set(d, a[3 * row]);
    sum30 = hn::MulAdd(value, b0, sum30), sum31 = hn::MulAdd(value, b1, sum31);
    value = hn::Set(d, a[4 * row]);
    sum40 = hn::MulAdd(value, b0, sum40), sum41 = hn::MulAdd(value, b1, sum41);
    value = hn::Set(d, a[5 * row]);
    sum50 = hn::MulAdd(value, b0, sum50), sum51 = hn::MulAdd(value, b1, sum51);
    a += step;
    panel += kPanel;
  }
  hn::StoreU(sum00, d, c), hn::StoreU(sum01, d, c + kLanes);
  hn::StoreU(sum10, d, c + c_stride), hn::StoreU(sum11, d, c + c_stride + kLanes);
  hn::StoreU(sum20, d, c + 2 * c_stride), hn::StoreU(sum21, d, c + 2 * c_stride + kLanes);
  hn::StoreU(sum30, d, c + 3 * c_stride), hn::StoreU(sum31, d, c + 3 * c_stride + kLanes);
  hn::StoreU(sum40, d, c + 4 * c_stride), hn::StoreU(sum41, d, c + 4 * c_stride + kLanes);
  hn::StoreU(sum50, d, c + 5 * c_stride), hn::StoreU(sum51, d, c + 5 * c_stride + kLanes);
}

/// Panels of from[rows, columns], the depth of the product being its rows: panel p has columns
/// [p * kPanel, (p + 1) * kPanel), zeros beyond `columns`, and starts at to + p * rows_room *
/// kPanel.
template <typename Element>
void pack_panels(const Element* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                 std::int64_t rows_room, float* to) {
  const FloatTag d;
  for (std::int64_t first = 0; first < columns; first += kPanel) {
    float* panel = to + first * rows_room;
    for (std::int64_t r = 0; r < rows; ++r) {
      const Element* row = from + r * stride;
      for (std::int64_t i = first; i < first + kPanel; i += kLanes, panel += kLanes) {
        if (i + kLanes <= columns) {
          hn::StoreU(load(d, row + i, Whole{}), d, panel);
        } else if (i < columns) {
          hn::StoreU(load(d, row + i, Part{static_cast<std::size_t>(columns - i)}), d, panel);
        } else {
          hn::StoreU(hn::Zero(d), d, panel);
        }
      }
    }
  }
}

/// Rows [0, rows) of from[rows, columns] times `scale` as f32 rows of `row` floats; zeros beyond
/// the columns and in the rows up to rows_room.
template <typename Element>
void copy_rows(const Element* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
               float scale, std::int64_t row, std::int64_t rows_room, float* to) {
  const FloatTag d;
  const auto factor = hn::Set(d, scale);
  for (std::int64_t r = 0; r < rows; ++r) {
    const Element* source = from + r * stride;
    float* out = to + r * row;
    for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
      store(d, hn::Mul(load(d, source + i, extent), factor), out + i, extent);
    });
    std::fill(out + columns, out + row, 0.0F);
  }
  std::fill(to + rows * row, to + rows_room * row, 0.0F);
}

#if HWY_TARGET != HWY_SCALAR
/// Four elements as f32.
template <class D>
HWY_INLINE hn::Vec<D> load_four(D d, const float* from) {
  return hn::LoadU(d, from);
}
template <class D>
HWY_INLINE hn::Vec<D> load_four(D d, const Bf16* from) {
  return load(d, from, Whole{});
}
#endif

/// Panels of the transpose of from[rows, columns], the depth of the product being its columns:
/// panel p has rows [p * kPanel, (p + 1) * kPanel), zeros beyond `rows`, and starts at
/// to + p * columns * kPanel.
template <typename Element>
void pack_transposed(const Element* from, std::int64_t stride, std::int64_t rows,
                     std::int64_t columns, float* to) {
  for (std::int64_t first = 0; first < rows; first += kPanel, to += columns * kPanel) {
    const std::int64_t count = std::min(kPanel, rows - first);
    const Element* source = from + first * stride;
    std::int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
    // Four rows by four columns at a time, transposed in registers.
    const hn::FixedTag<float, 4> d;
    const hn::RepartitionToWide<decltype(d)> pairs;
    const auto low = [&](auto a, auto b) HWY_ATTR {
      return hn::BitCast(d,
                         hn::InterleaveLower(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b)));
    };
    const auto high = [&](auto a, auto b) HWY_ATTR {
      return hn::BitCast(d,
                         hn::InterleaveUpper(pairs, hn::BitCast(pairs, a), hn::BitCast(pairs, b)));
    };
    for (; count == kPanel && c + 4 <= columns; c += 4) {
      for (std::int64_t r = 0; r < kPanel; r += 4) {
        const Element* corner = source + r * stride + c;
        const auto row0 = load_four(d, corner);
        const auto row1 = load_four(d, corner + stride);
        const auto row2 = load_four(d, corner + 2 * stride);
        const auto row3 = load_four(d, corner + 3 * stride);
        const auto lower01 = hn::InterleaveLower(d, row0, row1);
        const auto lower23 = hn::InterleaveLower(d, row2, row3);
        const auto upper01 = hn::InterleaveUpper(d, row0, row1);
        const auto upper23 = hn::InterleaveUpper(d, row2, row3);
        float* out = to + c * kPanel + r;
        hn::StoreU(low(lower01, lower23), d, out);
        hn::StoreU(high(lower01, lower23), d, out + kPanel);
        hn::StoreU(low(upper01, upper23), d, out + 2 * kPanel);
        hn::StoreU(high(upper01, upper23), d, out + 3 * kPanel);
      }
    }
#endif
    for (; c < columns; ++c) {
      float* out = to + c * kPanel;
      for (std::int64_t r = 0; r < count; ++r) {
        out[r] = static_cast<float>(source[r * stride + c]);
      }
      std::fill(out + count, out + kPanel, 0.0F);
    }
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
