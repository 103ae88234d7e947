// The one order in which an ordered reduction adds: an aligned binary tree over the micro-batches
// of a step. Node j of level k covers those of [j 2^k, (j+1) 2^k) that exist; its sum is that of
// its left half plus that of its right half, or the left one alone where nothing is to the right. A
// rank adds the nodes that lie wholly in what it holds; the rest is added by the owner of each
// shard, over the partial sums of all ranks. Whatever the number of ranks, the additions are the
// same.
#pragma once

#include <cstdint>
#include <vector>

#include "collectives/algorithms/micro_assignment.hpp"

namespace ingot {

/// What a rank does with the gradient of one of its micro-batches: it is written to partial
/// gradient `slot`; then for each m in `merges`, in order, slot m becomes slot m + slot m+1.
struct LocalStep {
  int slot = 0;
  std::vector<int> merges;
};

/// A partial sum on its way to the owner of a shard, who pushes them on a stack in order and after
/// each one replaces the two topmost, a below b, by a + b, `merges` times. One is left: the sum.
struct TreeItem {
  int rank = 0;
  int partial = 0;  ///< of that rank
  int merges = 0;
};

class ReductionTree {
 public:
  /// `micro_batches` per step over all ranks, a multiple of `ranks`, which are a power of two with
  /// kStrided.
  ReductionTree(std::int64_t micro_batches, int ranks, MicroAssignment assignment);

  std::int64_t micro_batches() const { return micro_batches_; }
  int ranks() const { return ranks_; }
  MicroAssignment assignment() const { return assignment_; }

  /// A entries. At the end partial p of the rank lies in slot p. kStrided: of the shards to which
  /// every step is reduced at once, over the ranks; one is left.
  const std::vector<LocalStep>& local_steps(int rank) const;
  /// Most partial gradients that any rank holds at once: at most log2 A + 1 where A is a power of
  /// two, where there is one rank, and with kStrided. A rank may otherwise begin and end inside of
  /// large nodes, with a node of each size at either end and a leaf on the way: 2 log2 A + 1.
  int slots() const { return slots_; }
  /// P: partial sums per rank that travel, the most of any rank; 1 where A is a power of two, where
  /// there is one rank, and with kStrided.
  int partials() const { return partials_; }
  /// Partial sums of this rank; those behind them, up to partials(), are not in items().
  int partials_of(int rank) const;
  /// What the owner of a shard adds. kStrided: once per step.
  const std::vector<TreeItem>& items() const { return items_; }
  int depth() const { return depth_; }  ///< most entries on the owner's stack

  /// Whether every `node_ranks` consecutive ranks (a proper part of all of them) together hold one
  /// node of the tree, so that they can add up theirs first.
  bool nodes_are_subtrees(int node_ranks) const;

 private:
  struct Builder;
  std::int64_t micro_batches_;
  int ranks_;
  MicroAssignment assignment_;
  std::vector<std::vector<LocalStep>> local_;  // per rank; kStrided: one for all
  std::vector<int> partials_of_;               // per rank
  std::vector<TreeItem> items_;
  int slots_ = 1;
  int partials_ = 1;
  int depth_ = 1;
};

/// How many additions follow each of `count` items that are nodes of one level, as in TreeItem.
std::vector<int> aligned_merges(int count);

}  // namespace ingot
