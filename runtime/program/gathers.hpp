// When weights that a rank keeps only its part of are gathered: which runs of nodes share one
// gathered copy of a bucket, and how far ahead of each run its gather begins.
#pragma once

#include <vector>

#include "runtime/program/graph.hpp"
#include "runtime/program/parameters.hpp"

namespace ingot {

/// One gathered copy of a bucket.
struct GatheredUse {
  int bucket = 0;
  int first = 0;  ///< node that reads it first
  int gate = 0;   ///< node that may not have begun before: the gather is issued in front of it
};

struct GatherPlan {
  std::vector<GatheredUse> uses;  ///< in the order of their gates
  /// Per node, by bucket that it reads: which use it reads.
  std::vector<std::vector<std::pair<int, int>>> use_of;
};

/// Nodes in their order visit buckets. A copy begins to be gathered when the visit before begins;
/// it is dropped at the end of its visit, unless the visit after the next is of the same bucket
/// again (the last layer, the loss, the last layer's backward), which needs no more memory.
/// All buckets, in the order in which the graph first reads weights of them.
std::vector<int> buckets_by_first_use(const Graph& graph, const StoreLayout& layout);

GatherPlan plan_gathers(const Graph& graph, const StoreLayout& layout);

}  // namespace ingot
