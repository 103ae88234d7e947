// The additions of an ordered reduction over blocks in memory: f32, each rounded once, in the order
// of a tree that the caller lays down. Bound by memory: blocks are read once, and what lies between
// two additions stays in the innermost cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ingot {

/// Which block is pushed on a stack, and how many times the two topmost, a below b, then become
/// a + b; see TreeItem.
struct TreeSumItem {
  std::int64_t block = 0;
  int merges = 0;
};

/// A fixed tree: blocks in the order in which they are pushed; one sum is left at the end.
class TreeSum {
 public:
  explicit TreeSum(std::vector<TreeSumItem> items);

  /// Floats that run() needs to keep sums of pieces in.
  std::int64_t scratch_count() const;
  /// to[0..count) = the sum of blocks of `count` elements each, block b at blocks + b*count. `to`
  /// may be one of the blocks, and nothing else that overlaps them.
  void run(float* to, const float* blocks, std::int64_t count, float* scratch) const;

  std::span<const TreeSumItem> items() const { return items_; }
  std::int64_t depth() const { return depth_; }  ///< most blocks and sums on the stack

 private:
  std::vector<TreeSumItem> items_;
  std::int64_t depth_ = 0;
  std::int64_t additions_ = 0;
};

}  // namespace ingot
