// One head of attention forward; see attention_simd.hpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention/attention_forward_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "ops/attention/attention_rows-inl.hpp"
#include "ops/attention/attention_simd.hpp"
#include "ops/attention/tile_product-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

using cpu::ForwardScratch;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// State of a row's softmax over the keys seen so far.
struct RunningSoftmax {
  float& maximum;
  float& sum;
  float* outputs;  ///< [outputs_size]: probabilities times values, relative to the maximum
  std::int64_t outputs_size;
};

/// Turns a row of scores into exp(score - maximum) within `row` and zero elsewhere in `panels`, and
/// brings the running state up to date.
HWY_INLINE void softmax_row(float* scores, KeyRange row, KeyRange panels, RunningSoftmax state) {
  const FloatTag d;
  if (row.empty()) {
    std::fill(scores + panels.first, scores + panels.end, 0.0F);
    return;
  }
  std::fill(scores + panels.first, scores + row.first, kMinusInfinity);
  std::fill(scores + row.end, scores + panels.end, kMinusInfinity);
  auto largest = hn::Set(d, kMinusInfinity);
  for (std::int64_t i = panels.first; i < panels.end; i += kLanes) {
    largest = hn::Max(largest, hn::LoadU(d, scores + i));
  }
  const float before = state.maximum;
  state.maximum = std::max(before, max_of_lanes(d, largest));
  const auto maximum = hn::Set(d, state.maximum);
  auto sum = hn::Zero(d);
  for (std::int64_t i = panels.first; i < panels.end; i += kLanes) {
    const auto value = exp(d, hn::Sub(hn::LoadU(d, scores + i), maximum));
    sum = hn::Add(sum, value);
    hn::StoreU(value, d, scores + i);
  }
  const float block_sum = sum_of_lanes(d, sum);
  if (before == kMinusInfinity || before == state.maximum) {
    state.sum += block_sum;
    return;
  }
  const auto rescale = exp(d, hn::Sub(hn::Set(d, before), maximum));
  state.sum = state.sum * hn::GetLane(rescale) + block_sum;
  for (std::int64_t i = 0; i < state.outputs_size; i += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, state.outputs + i), rescale), d, state.outputs + i);
  }
}

template <typename Element>
void forward_head(const AttentionShape& shape, const AttentionArguments& arguments,
                  std::int64_t batch, std::int64_t head, float* memory) {
  const FloatTag d;
  const ForwardScratch scratch(shape, memory);
  const std::int64_t tokens = shape.tokens;
  const std::int64_t size = shape.head_size;
  const std::int64_t width = shape.width();
  const std::int64_t row_size = shape.row();
  const std::int64_t used = (size + kPanel - 1) / kPanel * kPanel;
  const std::int64_t padded = shape.padded_tokens();
  const std::int64_t group = head / shape.heads_per_group();
  const float scale = 1.0F / std::sqrt(static_cast<float>(size));
  const Element* queries = head_of<Element>(shape, arguments.qkv, batch, head);
  const Element* keys = head_of<Element>(shape, arguments.qkv, batch, shape.heads + group);
  const Element* values =
      head_of<Element>(shape, arguments.qkv, batch, shape.heads + shape.kv_heads + group);
  pack_transposed(keys, width, tokens, size, scratch.keys);
  pack_panels(values, width, tokens, size, padded, scratch.values);
  KeepFactors keep;

  for (std::int64_t q = 0; q < tokens; q += kQueryBlock) {
    const std::int64_t rows = std::min(kQueryBlock, tokens - q);
    copy_rows(queries + q * width, width, rows, size, scale, row_size, kQueryBlock,
              scratch.queries);
    std::fill(scratch.sums, scratch.sums + kQueryBlock * row_size, 0.0F);
    std::fill(scratch.row_maximum, scratch.row_maximum + kQueryBlock, kMinusInfinity);
    std::fill(scratch.row_sum, scratch.row_sum + kQueryBlock, 0.0F);
    const std::int64_t first_block = first_key_block(shape, arguments, batch, q, q + rows);
    for (std::int64_t block = first_block; block < q + rows; block += kKeyBlock) {
      for (std::int64_t tile = 0; tile < rows; tile += kTileRows) {
        const TileKeys seen = tile_keys(shape, arguments, batch, q + tile, block);
        if (seen.all.empty()) continue;
        for (std::int64_t p = seen.panels.first; p < seen.panels.end; p += kPanel) {
          multiply_tile<false>(scratch.queries + tile * row_size, row_size,
                               scratch.keys + (block + p) * size, size, scratch.scores + p,
                               kKeyBlock, false);
        }
        for (std::int64_t r = 0; r < kTileRows; ++r) {
          float* scores = scratch.scores + r * kKeyBlock;
          softmax_row(scores, seen.rows[r], seen.panels,
                      {scratch.row_maximum[tile + r], scratch.row_sum[tile + r],
                       scratch.sums + (tile + r) * row_size, used});
          if (shape.dropout == 0 || seen.rows[r].empty()) continue;
          keep.draw(shape, arguments, batch, head, q + tile + r, block, seen.panels);
          for (std::int64_t i = seen.panels.first; i < seen.panels.end; i += kLanes) {
            hn::StoreU(hn::Mul(hn::LoadU(d, scores + i), keep.at(i)), d, scores + i);
          }
        }
        for (std::int64_t c = 0; c < used; c += kPanel) {
          multiply_tile<false>(scratch.scores + seen.all.first, kKeyBlock,
                               scratch.values + c * padded + (block + seen.all.first) * kPanel,
                               seen.all.end - seen.all.first, scratch.sums + tile * row_size + c,
                               row_size, true);
        }
      }
    }
    Element* out = static_cast<Element*>(arguments.out) + (batch * tokens + q) * shape.out_width() +
                   head * size;
    float* log_sum_exp = arguments.log_sum_exp + (batch * shape.heads + head) * tokens + q;
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto inverse = hn::Set(d, 1.0F / scratch.row_sum[r]);
      const float* sums = scratch.sums + r * row_size;
      for_each_vector(d, size, [&](std::int64_t i, auto extent) HWY_ATTR {
        store(d, hn::Mul(load(d, sums + i, extent), inverse), out + r * shape.out_width() + i,
              extent);
      });
      log_sum_exp[r] = scratch.row_maximum[r] + std::log(scratch.row_sum[r]);
    }
  }
}

void forward_head_f32(const AttentionShape& shape, const AttentionArguments& arguments,
                      std::int64_t batch, std::int64_t head, float* memory) {
  forward_head<float>(shape, arguments, batch, head, memory);
}
void forward_head_bf16(const AttentionShape& shape, const AttentionArguments& arguments,
                       std::int64_t batch, std::int64_t head, float* memory) {
  forward_head<Bf16>(shape, arguments, batch, head, memory);
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {
HWY_EXPORT(forward_head_f32);
HWY_EXPORT(forward_head_bf16);

void cpu::attention_head(const AttentionShape& shape, const AttentionArguments& arguments,
                         std::int64_t batch, std::int64_t head, float* memory) {
  if (shape.dtype == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(forward_head_bf16)(shape, arguments, batch, head, memory);
  } else {
    HWY_DYNAMIC_DISPATCH(forward_head_f32)(shape, arguments, batch, head, memory);
  }
}
}  // namespace ingot
#endif  // HWY_ONCE
