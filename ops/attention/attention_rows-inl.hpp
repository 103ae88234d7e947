// Which keys a row of scores sees, and which of its probabilities dropout keeps; shared by forward
// and backward. Compiled once per instruction set.
#if defined(INGOT_OPS_ATTENTION_ROWS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef INGOT_OPS_ATTENTION_ROWS_INL_HPP
#undef INGOT_OPS_ATTENTION_ROWS_INL_HPP
#else
#define INGOT_OPS_ATTENTION_ROWS_INL_HPP
#endif

#include <algorithm>
#include <cstdint>

#include "ops/attention/attention_simd.hpp"
#include "ops/attention/tile_product-inl.hpp"
#include "ops/philox-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

using cpu::AttentionArguments;
using cpu::AttentionShape;
using cpu::kKeyBlock;
using cpu::kQueryBlock;

/// Keys [first, end); empty where end <= first.
struct KeyRange {
  std::int64_t first;
  std::int64_t end;
  bool empty() const { return end <= first; }
};

/// First key that query `t` sees.
HWY_INLINE std::int64_t first_key(const AttentionShape& shape, const AttentionArguments& arguments,
                                  std::int64_t batch, std::int64_t t) {
  if (arguments.documents == nullptr) return 0;
  const std::int64_t start = arguments.documents[batch * shape.tokens + t];
  return std::clamp<std::int64_t>(start, 0, t);
}

/// First block of keys that some query of [begin, end) sees.
inline std::int64_t first_key_block(const AttentionShape& shape,
                                    const AttentionArguments& arguments, std::int64_t batch,
                                    std::int64_t begin, std::int64_t end) {
  std::int64_t first = begin;
  for (std::int64_t t = begin; t < end; ++t) {
    first = std::min(first, first_key(shape, arguments, batch, t));
  }
  return first / kKeyBlock * kKeyBlock;
}

/// What the rows of one register tile see within a block of keys, counted from the block's start.
struct TileKeys {
  KeyRange rows[kTileRows];  ///< exact, per row; empty for rows past the last token
  KeyRange all;              ///< union of the rows
  KeyRange panels;           ///< `all` widened to whole panels
};

inline TileKeys tile_keys(const AttentionShape& shape, const AttentionArguments& arguments,
                          std::int64_t batch, std::int64_t first_row, std::int64_t block) {
  TileKeys keys;
  keys.all = {kKeyBlock, 0};
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    const std::int64_t t = first_row + r;
    KeyRange& row = keys.rows[r];
    row = {0, 0};
    if (t >= shape.tokens) continue;
    row.first = std::max<std::int64_t>(0, first_key(shape, arguments, batch, t) - block);
    row.end = std::min(kKeyBlock, t + 1 - block);
    if (row.empty()) continue;
    keys.all.first = std::min(keys.all.first, row.first);
    keys.all.end = std::max(keys.all.end, row.end);
  }
  if (keys.all.empty()) {
    keys.all = {0, 0};
    keys.panels = {0, 0};
  } else {
    keys.panels.first = keys.all.first / kPanel * kPanel;
    keys.panels.end = (keys.all.end + kPanel - 1) / kPanel * kPanel;
  }
  return keys;
}

/// The factors that dropout multiplies a row's probabilities with: 0 or 1 / (1 - dropout).
class KeepFactors {
 public:
  /// Draws those of query `t` for the block's keys `panels`.
  HWY_INLINE void draw(const AttentionShape& shape, const AttentionArguments& arguments,
                       std::int64_t batch, std::int64_t head, std::int64_t t, std::int64_t block,
                       KeyRange panels) {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> words;
    const hn::RebindToSigned<FloatTag> integers;
    const std::int64_t row = (shape.layer * shape.heads + head) * shape.tokens + t;
    const std::int64_t blocks_per_row = (shape.tokens + 3) / 4;
    const auto dropout = hn::Set(d, shape.dropout);
    const auto kept = hn::Set(d, 1.0F / (1.0F - shape.dropout));
    HWY_ALIGN std::uint32_t drawn[4 * kLanes];
    for (std::int64_t j = panels.first / 4 * 4; j < panels.end; j += 4 * kLanes) {
      const auto index_high = static_cast<std::uint64_t>(arguments.samples[batch]);
      const auto index_low = static_cast<std::uint64_t>(row * blocks_per_row + (block + j) / 4);
      philox_blocks(words, arguments.seed, RandomPurpose::kAttentionDropout, index_high, index_low,
                    drawn);
      for (std::int64_t i = 0; i < 4 * kLanes; i += kLanes) {
        const auto bits = hn::ShiftRight<8>(hn::Load(words, drawn + i));
        const auto uniform =
            hn::Mul(hn::ConvertTo(d, hn::BitCast(integers, bits)), hn::Set(d, 0x1p-24F));
        hn::StoreU(hn::IfThenElseZero(hn::Ge(uniform, dropout), kept), d, factors_ + j + i);
      }
    }
  }
  HWY_INLINE Floats at(std::int64_t key) const { return hn::LoadU(FloatTag(), factors_ + key); }

 private:
  // The last draw may reach past the block by less than four vectors.
  HWY_ALIGN float factors_[kKeyBlock + 4 * kLanes];
};

/// The elements of head `head`, counted over queries, keys and values, of batch `batch`.
template <typename Element>
HWY_INLINE const Element* head_of(const AttentionShape& shape, const void* qkv, std::int64_t batch,
                                  std::int64_t head) {
  return static_cast<const Element*>(qkv) + batch * shape.tokens * shape.width() +
         head * shape.head_size;
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
