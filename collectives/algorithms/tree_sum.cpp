#include "collectives/algorithms/tree_sum.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "ops/base/error.hpp"

namespace ingot {

namespace {

/// Elements that are summed through the whole tree before the next ones: a few such pieces fit the
/// innermost cache, and a loop over one is long enough not to feel its ends.
constexpr std::int64_t kPiece = 1024;
constexpr std::int64_t kMostDepth = 64;

/// to = a + b. Where they are the same memory, they begin at the same element.
void add(float* to, const float* a, const float* b, std::int64_t count) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < count; ++i) to[i] = a[i] + b[i];
}

}  // namespace

TreeSum::TreeSum(std::vector<TreeSumItem> items) : items_(std::move(items)) {
  std::int64_t filled = 0;
  for (const TreeSumItem& item : items_) {
    depth_ = std::max(depth_, ++filled);
    filled -= item.merges;
    additions_ += item.merges;
    ensure(filled > 0, "two sums to add");
  }
  ensure(filled == 1 && depth_ <= kMostDepth, "a tree with one sum at its root");
}

std::int64_t TreeSum::scratch_count() const {
  return depth_ * kPiece;
}

void TreeSum::run(float* to, const float* blocks, std::int64_t count, float* scratch) const {
  if (additions_ == 0) {
    const float* only = blocks + items_.front().block * count;
    if (to != only) std::memcpy(to, only, static_cast<std::size_t>(count) * sizeof(float));
    return;
  }
  std::array<const float*, kMostDepth> stack;
  for (std::int64_t begin = 0; begin < count; begin += kPiece) {
    const std::int64_t here = std::min(kPiece, count - begin);
    std::int64_t added = 0;
    std::size_t filled = 0;
    for (const TreeSumItem& item : items_) {
      stack[filled++] = blocks + item.block * count + begin;
      for (int merge = 0; merge < item.merges; ++merge) {
        --filled;
        const bool root = ++added == additions_;
        float* sum = root ? to + begin : scratch + static_cast<std::int64_t>(filled - 1) * kPiece;
        add(sum, stack[filled - 1], stack[filled], here);
        stack[filled - 1] = sum;
      }
    }
  }
}

}  // namespace ingot
