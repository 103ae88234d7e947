// What every rank knows of the job before it has a communicator: its number, its node, and the
// blocking agreements of the control channel. Started by ctest under mpirun with 1 to 8 ranks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "tests/mpi_main.hpp"

namespace ingot {
namespace {

using test::session;

TEST(ControlChannel, GathersTextsOfDifferentLengths) {
  const std::string mine(static_cast<std::size_t>(session->rank() * 1000),
                         static_cast<char>('a' + session->rank()));
  const auto all = session->control().all_gather_bytes(mine);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(session->size()));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    EXPECT_EQ(all[rank], std::string(rank * 1000, static_cast<char>('a' + rank)));
  }
}

TEST(ControlChannel, BroadcastsTheTextOfTheRoot) {
  const int root = session->size() - 1;
  const std::string text("zero \0 byte", 11);
  const bool sends = session->rank() == root;
  EXPECT_EQ(session->control().broadcast_bytes(sends ? text : "something longer than that", root),
            text);
  EXPECT_EQ(session->control().broadcast_bytes("", 0), "");
}

TEST(ControlChannel, AgreesOnNumbers) {
  const int ranks = session->size();
  EXPECT_EQ(session->control().max(session->rank() - 100), ranks - 101);
  EXPECT_EQ(session->control().min(session->rank() + 100), 100);
  EXPECT_EQ(session->control().sum(0.5), 0.5 * ranks);
  session->control().barrier();
}

TEST(MpiSession, KnowsTheMachine) {
  EXPECT_LT(session->local_rank(), session->local_size());
  EXPECT_LE(session->local_size(), session->size());
  EXPECT_FALSE(session->hostname().empty());
}

TEST(MpiSession, NumbersTheRanksNodeByNode) {
  const Nodes& nodes = session->nodes();
  EXPECT_EQ(std::accumulate(nodes.ranks.begin(), nodes.ranks.end(), 0), session->size());
  EXPECT_EQ(nodes.node_of(session->rank()), nodes.index);

  const std::vector<int>& world = session->world_ranks();
  std::vector<int> sorted = world;
  std::ranges::sort(sorted);
  for (int rank = 0; rank < session->size(); ++rank) {
    EXPECT_EQ(sorted[static_cast<std::size_t>(rank)], rank);
  }
  // Nodes come by their lowest world rank, the ranks of a node by world rank.
  for (int node = 0; node < nodes.count(); ++node) {
    const auto first = world.begin() + nodes.first_rank(node);
    EXPECT_TRUE(std::is_sorted(first, first + nodes.ranks[static_cast<std::size_t>(node)]));
    if (node > 0) {
      EXPECT_GT(*first, world[static_cast<std::size_t>(nodes.first_rank(node - 1))]);
    }
  }
  // Every rank says the same of every other.
  const auto numbers = session->control().all_gather_bytes(
      std::to_string(world[static_cast<std::size_t>(session->rank())]));
  for (std::size_t rank = 0; rank < numbers.size(); ++rank) {
    EXPECT_EQ(numbers[rank], std::to_string(world[rank]));
  }
}

TEST(MpiSession, DealsRanksOutToTheNodesOfATest) {
  const char* text = std::getenv("INGOT_TEST_NODES");
  if (text == nullptr || session->local_size() != session->size()) GTEST_SKIP();
  const int nodes = std::min(std::atoi(text), session->size());
  ASSERT_EQ(session->nodes().count(), nodes);
  // As --map-by node: world ranks in turn, so that their order is not that of the ranks.
  for (int rank = 0; rank < session->size(); ++rank) {
    EXPECT_EQ(session->world_ranks()[static_cast<std::size_t>(rank)] % nodes,
              session->nodes().node_of(rank));
  }
}

TEST(MpiSession, FindsTheNodesThatMpirunStartedRanksOn) {
  const char* expected = std::getenv("INGOT_TEST_EXPECTED_NODES");
  if (expected == nullptr) GTEST_SKIP();
  EXPECT_EQ(session->nodes().count(), std::atoi(expected));
  EXPECT_EQ(session->nodes().here(), session->local_size());
}

}  // namespace
}  // namespace ingot
