// Places on a graph what ranks exchange: which gradients are reduced, where and when, and from
// where the weights come. The result is everything the program does, in the order of issue.
//
//   none        gradients are summed in the gradient store, bucket by bucket, in the last micro
//               batch, on the communication stream while backward goes on
//   optimizer   the same, but every rank gets the sum of its own block of each bucket only. What
//               ranks then made of their weights is gathered in the first micro batch of the next
//               step, in the order of forward, which waits for each bucket where it needs it
//   gradients   and a bucket's gradient is a block of the arena that lives until it is reduced to
//               the rank's block, after each micro batch; at most one bucket is being reduced while
//               the next one is written
//   parameters  and a bucket's weights are gathered into the arena before each run of ops that
//               reads them, one run ahead, so that at most two gathered buckets are alive
//
// Where ranks reduce, the last micro batch also takes the partial sums of the gradient's norm, from
// each bucket when its reduction is done: only that of the last bucket is behind all reductions.
#pragma once

#include <string>
#include <vector>

#include "runtime/program/draft.hpp"

namespace ingot {

/// What a micro batch's program does with its gradients beside writing them.
struct GradientStep {
  bool reduces = false;  ///< over ranks
  /// The sums are added to the rank's block (of modes that reduce each micro batch) instead of
  /// overwriting it.
  bool adds = false;
  int slot = 0;               ///< the partial gradient that is written
  std::vector<int> merges;    ///< then slot m becomes slot m + slot m+1, for each in order
  bool sums_squares = false;  ///< of the finished gradients, into store::kPartials
};

/// An exchange that the graph's builder places itself.
struct PlacedCollective {
  static constexpr std::size_t kAtTheStart = ~std::size_t{0};  ///< in front of all nodes
  std::size_t after_node = 0;
  Instruction collective;
};

struct PlacementOptions {
  std::string name;  ///< of the program, for errors
  ParallelPlan parallel = {};
  GradientStep gradients = {};
  /// Gathers all buckets' weights into where the rank keeps them, each before its first use.
  bool gathers_weights = false;
  std::vector<PlacedCollective> collectives = {};  ///< by node
};

/// The last node of this op; an internal error where there is none.
std::size_t last_node_of(const Graph& graph, std::string_view op);

Draft place(const Graph& graph, const StoreLayout& layout, const PlacementOptions& options);

}  // namespace ingot
