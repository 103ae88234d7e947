// The tree of an ordered reduction: what ranks add by themselves and what owners of shards add
// afterwards give, symbol by symbol, the expression that one rank alone gives.
#include "collectives/algorithms/reduction_tree.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <string>

#include "ops/base/error.hpp"

namespace ingot::test {
namespace {

/// The definition, written down a second time: node `index` of `level` over `leaves` micro-batches.
std::string expression(std::int64_t leaves, int level, std::int64_t index) {
  if (level == 0) return std::to_string(index);
  const std::string left = expression(leaves, level - 1, 2 * index);
  if ((2 * index + 1) << (level - 1) >= leaves) return left;
  return "(" + left + "+" + expression(leaves, level - 1, 2 * index + 1) + ")";
}

std::string expression(std::int64_t leaves) {
  return expression(leaves, std::bit_width(static_cast<std::uint64_t>(leaves - 1)), 0);
}

std::string sum(const std::string& a, const std::string& b) {
  return "(" + a + "+" + b + ")";
}

/// Carries out a rank's steps on the names of its micro-batches.
std::vector<std::string> run_local(const ReductionTree& tree, int rank,
                                   const std::vector<std::string>& leaves) {
  std::vector<std::string> slots(static_cast<std::size_t>(tree.slots()), "stale");
  const std::vector<LocalStep>& steps = tree.local_steps(rank);
  EXPECT_EQ(steps.size(), leaves.size());
  for (std::size_t a = 0; a < steps.size(); ++a) {
    slots.at(static_cast<std::size_t>(steps[a].slot)) = leaves[a];
    for (const int merge : steps[a].merges) {
      const auto m = static_cast<std::size_t>(merge);
      slots.at(m) = sum(slots.at(m), slots.at(m + 1));
      slots.at(m + 1) = "stale";
    }
  }
  return slots;
}

/// Carries out an owner's additions.
std::string run_owner(const ReductionTree& tree,
                      const std::vector<std::vector<std::string>>& partials) {
  std::vector<std::string> stack;
  std::size_t deepest = 0;
  for (const TreeItem& item : tree.items()) {
    EXPECT_LT(item.partial, tree.partials_of(item.rank));
    stack.push_back(partials.at(static_cast<std::size_t>(item.rank))
                        .at(static_cast<std::size_t>(item.partial)));
    deepest = std::max(deepest, stack.size());
    for (int merge = 0; merge < item.merges; ++merge) {
      const std::string top = stack.back();
      stack.pop_back();
      stack.back() = sum(stack.back(), top);
    }
  }
  EXPECT_EQ(static_cast<int>(deepest), tree.depth());
  EXPECT_EQ(stack.size(), 1U);
  return stack.front();
}

std::string reduce(const ReductionTree& tree) {
  const std::int64_t own = tree.micro_batches() / tree.ranks();
  std::vector<std::vector<std::string>> partials;
  if (tree.assignment() == MicroAssignment::kStrided) {
    std::vector<std::string> steps;
    for (std::int64_t a = 0; a < own; ++a) {
      partials.clear();
      for (int rank = 0; rank < tree.ranks(); ++rank) {
        partials.push_back({std::to_string(a * tree.ranks() + rank)});
      }
      steps.push_back(run_owner(tree, partials));
    }
    return run_local(tree, 0, steps).front();
  }
  for (int rank = 0; rank < tree.ranks(); ++rank) {
    std::vector<std::string> leaves;
    for (std::int64_t a = 0; a < own; ++a) leaves.push_back(std::to_string(rank * own + a));
    partials.push_back(run_local(tree, rank, leaves));
  }
  return run_owner(tree, partials);
}

constexpr std::int64_t kMostMicroBatches = 32;

TEST(ReductionTree, OneRankAddsAsTheDefinitionSays) {
  EXPECT_EQ(expression(6), "(((0+1)+(2+3))+(4+5))");
  EXPECT_EQ(expression(5), "(((0+1)+(2+3))+4)");
  for (std::int64_t count = 1; count <= kMostMicroBatches; ++count) {
    const ReductionTree tree(count, 1, MicroAssignment::kConsecutive);
    EXPECT_EQ(reduce(tree), expression(count)) << count << " micro-batches";
    EXPECT_EQ(tree.partials(), 1);
  }
}

TEST(ReductionTree, AnyNumberOfRanksAddsAsOneDoes) {
  for (std::int64_t count = 1; count <= kMostMicroBatches; ++count) {
    for (int ranks = 1; ranks <= count; ++ranks) {
      if (count % ranks != 0) continue;
      for (const auto assignment : {MicroAssignment::kConsecutive, MicroAssignment::kStrided}) {
        const bool strided = assignment == MicroAssignment::kStrided;
        if (strided && !std::has_single_bit(static_cast<unsigned>(ranks))) continue;
        const ReductionTree tree(count, ranks, assignment);
        EXPECT_EQ(reduce(tree), expression(count))
            << count << " micro-batches, " << ranks << (strided ? " strided ranks" : " ranks");
      }
    }
  }
}

TEST(ReductionTree, OnePartialTravelsWhereAccumulationIsAPowerOfTwo) {
  for (const std::int64_t own : {1, 2, 4, 8, 16}) {
    for (int ranks = 1; ranks <= 9; ++ranks) {
      const ReductionTree tree(own * ranks, ranks, MicroAssignment::kConsecutive);
      EXPECT_EQ(tree.partials(), 1) << own << " x " << ranks;
      EXPECT_EQ(tree.slots(), std::bit_width(static_cast<std::uint64_t>(own))) << own;
    }
  }
  EXPECT_EQ(ReductionTree(6, 2, MicroAssignment::kConsecutive).partials(), 2);
  EXPECT_EQ(ReductionTree(40, 8, MicroAssignment::kConsecutive).partials(), 3);
}

TEST(ReductionTree, ARankHoldsFewPartials) {
  // log2 A + 1 where A is a power of two or there is one rank. Others may begin and end inside
  // large nodes, with a node of each size at either end: 13 from 65 on are 1 + 2 + 4 + 4 + 2.
  for (std::int64_t own = 1; own <= 40; ++own) {
    const int levels = std::bit_width(static_cast<std::uint64_t>(own));
    for (int ranks = 1; ranks <= 40; ++ranks) {
      const ReductionTree tree(own * ranks, ranks, MicroAssignment::kConsecutive);
      const bool aligned = ranks == 1 || std::has_single_bit(static_cast<std::uint64_t>(own));
      ASSERT_LE(tree.slots(), aligned ? levels : 2 * levels - 1) << own << " x " << ranks;
    }
  }
  EXPECT_EQ(ReductionTree(78, 6, MicroAssignment::kConsecutive).partials(), 5);
}

TEST(ReductionTree, NodesThatHoldOneSubtreeAreFound) {
  const auto found = [](std::int64_t count, int ranks, int node_ranks) {
    return ReductionTree(count, ranks, MicroAssignment::kConsecutive)
        .nodes_are_subtrees(node_ranks);
  };
  EXPECT_TRUE(found(8, 4, 2));
  EXPECT_TRUE(found(24, 6, 2));
  EXPECT_FALSE(found(24, 8, 2));  // 3 micro-batches each
  EXPECT_FALSE(found(6, 6, 3));   // nodes of 3
  EXPECT_FALSE(found(8, 4, 4));   // one node only
  EXPECT_FALSE(found(8, 4, 1));
  EXPECT_FALSE(found(8, 4, 3));
  EXPECT_TRUE(ReductionTree(24, 8, MicroAssignment::kStrided).nodes_are_subtrees(4));
}

TEST(ReductionTree, WhatRanksCannotShareIsRefused) {
  EXPECT_THROW(ReductionTree(7, 2, MicroAssignment::kConsecutive), Error);
  EXPECT_THROW(ReductionTree(0, 1, MicroAssignment::kConsecutive), Error);
  EXPECT_THROW(ReductionTree(6, 3, MicroAssignment::kStrided), Error);
}

TEST(ReductionTree, ItemsOfOneLevelAreAddedLikeLeaves) {
  EXPECT_EQ(aligned_merges(1), (std::vector<int>{0}));
  EXPECT_EQ(aligned_merges(4), (std::vector<int>{0, 1, 0, 2}));
  EXPECT_EQ(aligned_merges(6), (std::vector<int>{0, 1, 0, 2, 0, 2}));
}

}  // namespace
}  // namespace ingot::test
