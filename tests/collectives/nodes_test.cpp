// How ranks are numbered over nodes: from the world ranks that mpirun dealt out in some order.
#include "collectives/nodes.hpp"

#include <gtest/gtest.h>

namespace ingot {
namespace {

using Ranks = std::vector<int>;

TEST(Nodes, AreNumberedOneAfterTheOtherWhereMpirunAlternates) {
  // mpirun --map-by node with two hosts: world ranks 0, 2, 4 on the first, 1, 3 on the second.
  EXPECT_EQ(node_by_node(Ranks{0, 1, 0, 1, 0}), (Ranks{0, 2, 4, 1, 3}));
}

TEST(Nodes, KeepTheOrderThatIsAlreadyNodeByNode) {
  EXPECT_EQ(node_by_node(Ranks{0, 0, 2, 2, 2}), (Ranks{0, 1, 2, 3, 4}));
  EXPECT_EQ(node_by_node(Ranks{0}), (Ranks{0}));
}

TEST(Nodes, ComeInTheOrderOfTheirLowestWorldRank) {
  EXPECT_EQ(node_by_node(Ranks{0, 1, 1, 3, 3, 0}), (Ranks{0, 5, 1, 2, 3, 4}));
}

TEST(Nodes, TellWhereEachRankLies) {
  const Nodes nodes = nodes_of(Ranks{7, 7, 3, 5, 5, 5}, 4);
  EXPECT_EQ(nodes, (Nodes{.ranks = {2, 1, 3}, .index = 2}));
  EXPECT_EQ(nodes.count(), 3);
  EXPECT_EQ(nodes.here(), 3);
  EXPECT_EQ(nodes.most(), 3);
  EXPECT_EQ(nodes.first_rank(0), 0);
  EXPECT_EQ(nodes.first_rank(2), 3);
  const Ranks expected{0, 0, 1, 2, 2, 2};
  for (int rank = 0; rank < 6; ++rank) {
    EXPECT_EQ(nodes.node_of(rank), expected[static_cast<std::size_t>(rank)]) << rank;
  }
  EXPECT_FALSE(nodes.even());
  EXPECT_TRUE(nodes_of(Ranks{1, 1, 0, 0}, 0).even());
}

TEST(Nodes, AreContiguousOnlyWhereEachOnesRanksFollowOneAnother) {
  EXPECT_TRUE(contiguous(Ranks{4, 4, 2, 2, 9}));
  EXPECT_TRUE(contiguous(Ranks{1}));
  EXPECT_FALSE(contiguous(Ranks{0, 1, 0}));
}

}  // namespace
}  // namespace ingot
