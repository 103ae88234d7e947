#include "runtime/program/gathers.hpp"

#include <algorithm>

namespace ingot {

namespace {

/// Buckets whose weights a node reads, ascending.
std::vector<int> buckets_read(const Graph& graph, const StoreLayout& layout,
                              const GraphNode& node) {
  std::vector<int> buckets;
  for (const ValueId input : node.inputs) {
    if (input == kNoValue || graph.value(input).role != Role::kParameter) continue;
    const int bucket = layout.bucket_of[static_cast<std::size_t>(graph.value(input).parameter)];
    if (std::ranges::count(buckets, bucket) == 0) buckets.push_back(bucket);
  }
  std::ranges::sort(buckets);
  return buckets;
}

}  // namespace

std::vector<int> buckets_by_first_use(const Graph& graph, const StoreLayout& layout) {
  std::vector<int> order;
  const auto add = [&](int bucket) {
    if (std::ranges::count(order, bucket) == 0) order.push_back(bucket);
  };
  for (const GraphNode& node : graph.nodes) {
    std::ranges::for_each(buckets_read(graph, layout, node), add);
  }
  for (std::size_t b = 0; b < layout.buckets.size(); ++b) add(static_cast<int>(b));
  return order;
}

GatherPlan plan_gathers(const Graph& graph, const StoreLayout& layout) {
  struct Visit {
    int bucket = 0;
    int first = 0;
    int use = 0;
  };
  GatherPlan plan;
  plan.use_of.resize(graph.nodes.size());
  std::vector<Visit> visits;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const int node = static_cast<int>(n);
    for (const int bucket : buckets_read(graph, layout, graph.nodes[n])) {
      const std::size_t count = visits.size();
      if (count == 0 || visits[count - 1].bucket != bucket) {
        if (count > 1 && visits[count - 2].bucket == bucket) {
          visits.push_back({bucket, node, visits[count - 2].use});
        } else {
          const int gate = count == 0 ? 0 : visits[count - 1].first;
          plan.uses.push_back({bucket, node, gate});
          visits.push_back({bucket, node, static_cast<int>(plan.uses.size()) - 1});
        }
      }
      plan.use_of[n].emplace_back(bucket, visits.back().use);
    }
  }
  return plan;
}

}  // namespace ingot
