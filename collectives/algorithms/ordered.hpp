// reduce_scatter with the bits of one rank: the partial sums of all ranks go to the owner of each
// block (all_to_all), who adds them in the order of the ReductionTree. Where the ranks of every
// node of the cluster hold a subtree, they add theirs first, and ranks of the same place in their
// nodes (a rail) the rest: the wire between nodes then carries what it would in a ring. A sum of
// two has no order, since a + b has the bits of b + a: where two ranks, of the job, a node or a
// rail, have one partial each, theirs is the transport's own reduce_scatter, which needs no copies.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "collectives/algorithms/reduction_tree.hpp"
#include "collectives/algorithms/tree_sum.hpp"
#include "collectives/communicator.hpp"

namespace ingot {

class OrderedReduction {
 public:
  /// Collective and blocking. The ranks are those of `tree`, and outlive this. `node_ranks`: ranks
  /// per node of the cluster, where all nodes have as many, and consecutive ones; 0: not to be
  /// used.
  OrderedReduction(Communicator& ranks, const ReductionTree& tree, int node_ranks = 0);
  ~OrderedReduction();
  OrderedReduction(const OrderedReduction&) = delete;
  OrderedReduction& operator=(const OrderedReduction&) = delete;

  /// Memory that one call needs beside its arguments, until it is complete; aligned as floats.
  std::int64_t scratch_bytes(std::int64_t count) const {
    return scratch_bytes(tree_, node_ranks_, count);
  }
  /// The same before there are ranks, for plans. `node_ranks` as above.
  static std::int64_t scratch_bytes(const ReductionTree& tree, int node_ranks, std::int64_t count);
  /// What Communicator::reserve() does, for calls with blocks of up to `count` elements.
  void reserve(Stream& stream, std::int64_t count);
  /// Lets the ranks of a node read this memory directly; see Communicator::share(). To be called
  /// beside that of the communicator, for the buffers of partial sums and scratch.
  void share(const Buffer& buffer);
  void unshare(const Buffer& buffer);

  /// to[0..count) = the sum over all ranks' partials of this rank's block of `count` f32 elements,
  /// in the order of the tree. partials: P = tree.partials() of size()*count elements each; those
  /// that this rank does not have may hold anything. `to` may be the own block of a partial.
  void reduce_scatter(float* to, std::span<const float* const> partials, std::int64_t count,
                      void* scratch, Stream& stream, CollectiveLabel label);

  /// Whether nodes add up first.
  bool hierarchical() const { return node_ != nullptr; }

 private:
  /// to = the sum of the own block over these ranks, which have one partial each; `received` has
  /// room for one block per rank.
  void sum_equals(Communicator& ranks, const TreeSum& tree, float* to, const float* from,
                  std::int64_t count, float* received, float* pieces, Stream& stream,
                  CollectiveLabel label);
  /// One tree sum on its way to the stream; a recorded one is never free again.
  struct Sum;
  void enqueue_sum(const TreeSum& tree, float* to, const float* blocks, std::int64_t count,
                   float* scratch, Stream& stream);
  static void run_sum(void* context);

  Communicator& ranks_;
  ReductionTree tree_;
  int node_ranks_;
  TreeSum flat_;
  // Where nodes add up first.
  std::unique_ptr<Communicator> node_;
  std::unique_ptr<Communicator> rail_;
  TreeSum within_node_;
  TreeSum over_nodes_;

  std::mutex mutex_;
  std::deque<Sum> sums_;    ///< guarded by mutex_
  std::vector<Sum*> free_;  ///< guarded by mutex_
};

}  // namespace ingot
