// The communicator for several nodes of several ranks each: it is composed of one that joins the
// ranks of a node and of one per rail, which joins the ranks that have the same place in their
// nodes. The network carries a node's share once, however many ranks the node has.
//
//   all_reduce       reduce_scatter in the node, all_reduce per rail, all_gather in the node; in
//                    pieces, so that the node works on the next while the network carries one.
//                    Small ones: all_reduce in the node, then per rail.
//   reduce_scatter   in the node once for each node, then per rail
//   all_gather       per rail, while the node gathers its own; then in the node for each other node
//   all_to_all       left to the transport that joins all ranks: no byte is for more than one, and
//                    a way through the node measured slower
//   broadcast        along the root's rail, then in each node; in pieces
//   barrier          in the node, then per rail
//
// Where nodes have unequal numbers of ranks there are no such rails: all_reduce, broadcast and
// barrier then go through the first rank of each node, and reduce_scatter, all_gather and
// all_to_all are left to the transport that joins all ranks.
#pragma once

#include <memory>

#include "collectives/communicator.hpp"
#include "collectives/nodes.hpp"

namespace ingot {

/// What a hierarchical communicator is made of, all with the same device's streams. Each orders its
/// ranks as `all` does.
struct HierarchicalParts {
  std::unique_ptr<Communicator> all;     ///< every rank, node by node
  std::unique_ptr<Communicator> inside;  ///< the ranks of this node
  std::unique_ptr<Communicator> rail;    ///< the ranks with this one's place in their nodes
  Nodes nodes;
};

/// A communicator of the ranks of `parts.all`. Where that is one node it is `parts.inside` itself,
/// and where each node has one rank, `parts.all`. All ranks must reserve() alike.
std::unique_ptr<Communicator> create_hierarchical_communicator(HierarchicalParts parts);

}  // namespace ingot
