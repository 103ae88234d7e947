// How the ranks of a job lie on its nodes. Ranks are numbered node by node, whatever order mpirun
// started them in, so that the ranks of a node are consecutive wherever a rank's number is used.
#pragma once

#include <span>
#include <vector>

namespace ingot {

/// The nodes of a job, in the order of their ranks, as one rank sees them.
struct Nodes {
  std::vector<int> ranks = {1};  ///< how many each node has; at least 1
  int index = 0;                 ///< the node of the rank that asks

  int count() const { return static_cast<int>(ranks.size()); }
  int here() const { return ranks[static_cast<std::size_t>(index)]; }  ///< ranks of this node
  int first_rank(int node) const;
  int node_of(int rank) const;
  /// Whether all nodes have equally many ranks.
  bool even() const;
  int most() const;  ///< ranks of the largest node

  friend bool operator==(const Nodes&, const Nodes&) = default;
};

/// The order in which processes are numbered: nodes by their lowest world rank, the processes of a
/// node by their world rank. `lowest[w]` is the lowest world rank on the node of world rank w; the
/// result holds the world rank of each rank.
std::vector<int> node_by_node(std::span<const int> lowest);

/// The nodes of ranks in a given order, where rank r lies on the node that `node_of_rank[r]` names
/// by any number; `rank` is the one that asks. Ranks of a node that do not follow one another count
/// as several nodes (see contiguous()).
Nodes nodes_of(std::span<const int> node_of_rank, int rank);

/// Whether the ranks of every node follow one another.
bool contiguous(std::span<const int> node_of_rank);

}  // namespace ingot
