#include "collectives/nodes.hpp"

#include <algorithm>
#include <numeric>
#include <set>

namespace ingot {

int Nodes::first_rank(int node) const {
  return std::accumulate(ranks.begin(), ranks.begin() + node, 0);
}

int Nodes::node_of(int rank) const {
  int node = 0;
  while (rank >= first_rank(node) + ranks[static_cast<std::size_t>(node)]) ++node;
  return node;
}

bool Nodes::even() const {
  return std::ranges::all_of(ranks, [&](int count) { return count == ranks.front(); });
}

int Nodes::most() const {
  return *std::ranges::max_element(ranks);
}

std::vector<int> node_by_node(std::span<const int> lowest) {
  std::vector<int> order(lowest.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(
      order, {}, [&](int world_rank) { return lowest[static_cast<std::size_t>(world_rank)]; });
  return order;
}

Nodes nodes_of(std::span<const int> node_of_rank, int rank) {
  Nodes nodes{.ranks = {}};
  for (std::size_t other = 0; other < node_of_rank.size(); ++other) {
    if (other == 0 || node_of_rank[other] != node_of_rank[other - 1]) nodes.ranks.push_back(0);
    ++nodes.ranks.back();
    if (static_cast<int>(other) == rank) nodes.index = nodes.count() - 1;
  }
  return nodes;
}

bool contiguous(std::span<const int> node_of_rank) {
  const std::set<int> distinct(node_of_rank.begin(), node_of_rank.end());
  return nodes_of(node_of_rank, 0).ranks.size() == distinct.size();
}

}  // namespace ingot
