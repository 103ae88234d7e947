// One group of heads of attention backward; see attention_simd.hpp.
//
// With P the probabilities, K the dropout factors, O the output and L its gradient dO:
//   dV = (P K)^T dO,  dP = (dO V^T) K,  dS = P (dP - delta),  delta = sum(dO O) per row,
//   dQ = scale dS K,  dK = dS^T (scale Q).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/attention/attention_backward_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "ops/attention/attention_rows-inl.hpp"
#include "ops/attention/attention_simd.hpp"
#include "ops/attention/tile_product-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

using cpu::BackwardScratch;

template <typename Element>
class GroupBackward {
 public:
  GroupBackward(const AttentionShape& shape, const AttentionArguments& arguments,
                std::int64_t batch, std::int64_t group, float* memory)
      : shape_(shape),
        arguments_(arguments),
        scratch_(shape, memory),
        batch_(batch),
        group_(group),
        size_(shape.head_size),
        row_(shape.row()),
        used_((size_ + kPanel - 1) / kPanel * kPanel),
        padded_(shape.padded_tokens()),
        scale_(1.0F / std::sqrt(static_cast<float>(shape.head_size))) {}

  HWY_INLINE void run() {
    const std::int64_t key_head = shape_.heads + group_;
    const std::int64_t value_head = key_head + shape_.kv_heads;
    const Element* keys = head_of<Element>(shape_, arguments_.qkv, batch_, key_head);
    const Element* values = head_of<Element>(shape_, arguments_.qkv, batch_, value_head);
    pack_transposed(keys, shape_.width(), shape_.tokens, size_, scratch_.keys_transposed);
    pack_transposed(values, shape_.width(), shape_.tokens, size_, scratch_.values_transposed);
    pack_panels(keys, shape_.width(), shape_.tokens, size_, padded_, scratch_.keys);
    std::fill(scratch_.keys_gradient, scratch_.keys_gradient + padded_ * row_, 0.0F);
    std::fill(scratch_.values_gradient, scratch_.values_gradient + padded_ * row_, 0.0F);
    const std::int64_t heads = shape_.heads_per_group();
    for (std::int64_t head = group_ * heads; head < (group_ + 1) * heads; ++head) {
      for (std::int64_t q = 0; q < shape_.tokens; q += kQueryBlock) query_block(head, q);
    }
    write(scratch_.keys_gradient, 0, shape_.tokens, 1, key_head);
    write(scratch_.values_gradient, 0, shape_.tokens, 1, value_head);
  }

 private:
  /// Rows of a gradient of head `head`, times `scale`, to their place in dqkv.
  HWY_INLINE void write(const float* rows, std::int64_t first, std::int64_t count, float scale,
                        std::int64_t head) {
    const FloatTag d;
    const auto factor = hn::Set(d, scale);
    Element* to = static_cast<Element*>(arguments_.qkv_gradient) +
                  (batch_ * shape_.tokens + first) * shape_.width() + head * size_;
    for (std::int64_t r = 0; r < count; ++r) {
      for_each_vector(d, size_, [&](std::int64_t i, auto extent) HWY_ATTR {
        store(d, hn::Mul(load(d, rows + r * row_ + i, extent), factor), to + r * shape_.width() + i,
              extent);
      });
    }
  }

  /// Copies of the block's queries and output gradients, and the sums over its rows.
  HWY_INLINE void load_block(std::int64_t head, std::int64_t q, std::int64_t rows) {
    const FloatTag d;
    const std::int64_t out_width = shape_.out_width();
    const Element* queries =
        head_of<Element>(shape_, arguments_.qkv, batch_, head) + q * shape_.width();
    const std::int64_t out_first = (batch_ * shape_.tokens + q) * out_width + head * size_;
    const Element* out = static_cast<const Element*>(arguments_.out) + out_first;
    const Element* out_gradient = static_cast<const Element*>(arguments_.out_gradient) + out_first;
    copy_rows(queries, shape_.width(), rows, size_, scale_, row_, kQueryBlock, scratch_.queries);
    copy_rows(out_gradient, out_width, rows, size_, 1, row_, kQueryBlock, scratch_.out_gradient);
    pack_panels(scratch_.queries, row_, kQueryBlock, size_, kQueryBlock, scratch_.query_panels);
    pack_panels(scratch_.out_gradient, row_, kQueryBlock, size_, kQueryBlock,
                scratch_.out_gradient_panels);
    std::fill(scratch_.queries_gradient, scratch_.queries_gradient + kQueryBlock * row_, 0.0F);
    const float* log_sum_exp =
        arguments_.log_sum_exp + (batch_ * shape_.heads + head) * shape_.tokens + q;
    for (std::int64_t r = 0; r < rows; ++r) {
      auto delta = hn::Zero(d);
      for_each_vector(d, size_, [&](std::int64_t i, auto extent) HWY_ATTR {
        delta = hn::MulAdd(load(d, out + r * out_width + i, extent),
                           load(d, out_gradient + r * out_width + i, extent), delta);
      });
      scratch_.row_delta[r] = sum_of_lanes(d, delta);
      scratch_.row_log_sum_exp[r] = log_sum_exp[r];
    }
  }

  /// Scores and dP of one row become P K and dS; zero outside of what the row sees.
  HWY_INLINE void row_gradient(std::int64_t head, std::int64_t t, std::int64_t block,
                               std::int64_t r, const TileKeys& seen, KeyRange row) {
    const FloatTag d;
    float* scores = scratch_.scores + r * kKeyBlock;
    float* gradient = scratch_.scores_gradient + r * kKeyBlock;
    if (row.empty()) {
      std::fill(scores, scores + kKeyBlock, 0.0F);
      std::fill(gradient, gradient + kKeyBlock, 0.0F);
      return;
    }
    const bool dropout = shape_.dropout > 0;
    if (dropout) keep_.draw(shape_, arguments_, batch_, head, t, block, seen.panels);
    const auto log_sum_exp = hn::Set(d, scratch_.row_log_sum_exp[r]);
    const auto delta = hn::Set(d, scratch_.row_delta[r]);
    for (std::int64_t i = seen.panels.first; i < seen.panels.end; i += kLanes) {
      const auto probability = exp(d, hn::Sub(hn::LoadU(d, scores + i), log_sum_exp));
      auto change = hn::LoadU(d, gradient + i);
      auto kept = probability;
      if (dropout) {
        const auto factor = keep_.at(i);
        change = hn::Mul(change, factor);
        kept = hn::Mul(kept, factor);
      }
      hn::StoreU(kept, d, scores + i);
      hn::StoreU(hn::Mul(probability, hn::Sub(change, delta)), d, gradient + i);
    }
    std::fill(scores, scores + row.first, 0.0F);
    std::fill(scores + row.end, scores + kKeyBlock, 0.0F);
    std::fill(gradient, gradient + row.first, 0.0F);
    std::fill(gradient + row.end, gradient + kKeyBlock, 0.0F);
  }

  /// One block of queries of one head against all the keys it sees.
  HWY_INLINE void query_block(std::int64_t head, std::int64_t q) {
    const std::int64_t rows = std::min(kQueryBlock, shape_.tokens - q);
    load_block(head, q, rows);
    const std::int64_t first_block = first_key_block(shape_, arguments_, batch_, q, q + rows);
    for (std::int64_t block = first_block; block < q + rows; block += kKeyBlock) {
      for (std::int64_t tile = 0; tile < rows; tile += kTileRows) {
        row_tile(head, q, block, tile);
      }
      key_gradients(q, rows, block);
    }
    write(scratch_.queries_gradient, q, rows, scale_, head);
  }

  /// Probabilities and dS of six queries, and what they add to dQ.
  HWY_INLINE void row_tile(std::int64_t head, std::int64_t q, std::int64_t block,
                           std::int64_t tile) {
    const TileKeys seen = tile_keys(shape_, arguments_, batch_, q + tile, block);
    float* scores = scratch_.scores + tile * kKeyBlock;
    float* gradient = scratch_.scores_gradient + tile * kKeyBlock;
    for (std::int64_t p = seen.panels.first; p < seen.panels.end; p += kPanel) {
      multiply_tile<false>(scratch_.queries + tile * row_, row_,
                           scratch_.keys_transposed + (block + p) * size_, size_, scores + p,
                           kKeyBlock, false);
      multiply_tile<false>(scratch_.out_gradient + tile * row_, row_,
                           scratch_.values_transposed + (block + p) * size_, size_, gradient + p,
                           kKeyBlock, false);
    }
    for (std::int64_t r = 0; r < kTileRows; ++r) {
      row_gradient(head, q + tile + r, block, tile + r, seen, seen.rows[r]);
    }
    for (std::int64_t c = 0; c < used_ && !seen.all.empty(); c += kPanel) {
      multiply_tile<false>(gradient + seen.all.first, kKeyBlock,
                           scratch_.keys + c * padded_ + (block + seen.all.first) * kPanel,
                           seen.all.end - seen.all.first,
                           scratch_.queries_gradient + tile * row_ + c, row_, true);
    }
  }

  /// What the block's queries add to dK and dV of the block's keys. Queries before a key do not
  /// see it, so they are left out.
  HWY_INLINE void key_gradients(std::int64_t q, std::int64_t rows, std::int64_t block) {
    for (std::int64_t key = 0; key < kKeyBlock && block + key < q + rows; key += kTileRows) {
      const std::int64_t first = std::max<std::int64_t>(0, block + key - q);
      const std::int64_t at = (block + key) * row_;
      for (std::int64_t c = 0; c < used_; c += kPanel) {
        const std::int64_t panel = c * kQueryBlock + first * kPanel;
        multiply_tile<true>(scratch_.scores + first * kKeyBlock + key, kKeyBlock,
                            scratch_.out_gradient_panels + panel, rows - first,
                            scratch_.values_gradient + at + c, row_, true);
        multiply_tile<true>(scratch_.scores_gradient + first * kKeyBlock + key, kKeyBlock,
                            scratch_.query_panels + panel, rows - first,
                            scratch_.keys_gradient + at + c, row_, true);
      }
    }
  }

  const AttentionShape& shape_;
  const AttentionArguments& arguments_;
  BackwardScratch scratch_;
  std::int64_t batch_;
  std::int64_t group_;
  std::int64_t size_;
  std::int64_t row_;
  std::int64_t used_;
  std::int64_t padded_;
  float scale_;
  KeepFactors keep_;
};

void backward_group_f32(const AttentionShape& shape, const AttentionArguments& arguments,
                        std::int64_t batch, std::int64_t group, float* memory) {
  GroupBackward<float>(shape, arguments, batch, group, memory).run();
}
void backward_group_bf16(const AttentionShape& shape, const AttentionArguments& arguments,
                         std::int64_t batch, std::int64_t group, float* memory) {
  GroupBackward<Bf16>(shape, arguments, batch, group, memory).run();
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {
HWY_EXPORT(backward_group_f32);
HWY_EXPORT(backward_group_bf16);

void cpu::attention_group_backward(const AttentionShape& shape, const AttentionArguments& arguments,
                                   std::int64_t batch, std::int64_t group, float* memory) {
  if (shape.dtype == DType::kBf16) {
    HWY_DYNAMIC_DISPATCH(backward_group_bf16)(shape, arguments, batch, group, memory);
  } else {
    HWY_DYNAMIC_DISPATCH(backward_group_f32)(shape, arguments, batch, group, memory);
  }
}
}  // namespace ingot
#endif  // HWY_ONCE
