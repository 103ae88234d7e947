// The tree sum over blocks in memory.
#include "collectives/algorithms/tree_sum.hpp"

#include <gtest/gtest.h>

#include "ops/base/error.hpp"
#include "tests/collectives/ordered_check.hpp"

namespace ingot::test {
namespace {

TEST(TreeSum, AddsInTheOrderOfTheTreeAtAnySize) {
  // ((c + a) + (b + d)) of blocks a b c d, and the middle one over.
  const TreeSum tree({{2, 0}, {0, 1}, {1, 0}, {3, 2}});
  std::vector<float> scratch(static_cast<std::size_t>(tree.scratch_count()));
  for (const std::int64_t count : {0, 1, 3, 1023, 1024, 1025, 5000}) {
    const std::vector<float> blocks = micro_gradient(5, 4 * count);
    std::vector<float> to(static_cast<std::size_t>(count));
    tree.run(to.data(), blocks.data(), count, scratch.data());
    for (std::size_t i = 0; i < to.size(); ++i) {
      const float a = blocks[i];
      const float b = blocks[to.size() + i];
      const float c = blocks[2 * to.size() + i];
      const float d = blocks[3 * to.size() + i];
      ASSERT_EQ(to[i], (c + a) + (b + d)) << count << " elements, element " << i;
    }
  }
}

TEST(TreeSum, MayOverwriteAnyOfItsBlocks) {
  const TreeSum tree({{0, 0}, {1, 0}, {2, 2}});
  std::vector<float> scratch(static_cast<std::size_t>(tree.scratch_count()));
  constexpr std::int64_t kCount = 2050;
  const std::vector<float> original = micro_gradient(9, 3 * kCount);
  for (int block = 0; block < 3; ++block) {
    std::vector<float> blocks = original;
    float* to = blocks.data() + block * kCount;
    tree.run(to, blocks.data(), kCount, scratch.data());
    for (std::size_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(to[i], original[i] + (original[kCount + i] + original[2 * kCount + i]));
    }
  }
}

TEST(TreeSum, ASingleBlockIsCopied) {
  const TreeSum tree({{1, 0}});
  const std::vector<float> blocks = {1, 2, 3, 4};
  std::vector<float> to(2);
  tree.run(to.data(), blocks.data(), 2, nullptr);
  EXPECT_EQ(to, (std::vector<float>{3, 4}));
}

TEST(TreeSum, RefusesWhatIsNoTree) {
  EXPECT_THROW(TreeSum({{0, 1}}), Error);
  EXPECT_THROW(TreeSum({{0, 0}, {1, 0}}), Error);
  EXPECT_THROW(TreeSum(std::vector<TreeSumItem>{}), Error);
}

}  // namespace
}  // namespace ingot::test
