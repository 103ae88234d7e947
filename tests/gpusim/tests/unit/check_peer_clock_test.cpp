// Clocks of warps across processes: what a join makes known, and what the end of a launch replaces.
#include <gtest/gtest.h>

#include "check/peer_clock.hpp"

namespace gpusim {
namespace {

constexpr PeerClock::Place kPlace{70, 3, 5};

TEST(PeerClock, KnowsAWarpUpToItsTime) {
  PeerClock clock;
  EXPECT_FALSE(clock.knows(kPlace, 1, 0, 1));
  clock.join_warp(kPlace, 4, 1, {7, 0, 0});
  EXPECT_TRUE(clock.knows(kPlace, 1, 31, 7));
  EXPECT_FALSE(clock.knows(kPlace, 1, 31, 8));
  EXPECT_FALSE(clock.knows(kPlace, 2, 31, 1));
  EXPECT_FALSE(clock.knows({71, 3, 5}, 1, 31, 1));
  EXPECT_FALSE(clock.knows({70, 4, 5}, 1, 31, 1));
  EXPECT_FALSE(clock.knows({70, 3, 6}, 1, 31, 1));
}

TEST(PeerClock, TellsTheLaneThatReleasedFromTheOthers) {
  PeerClock clock;
  clock.join_warp(kPlace, 2, 0, {4, 6, 1u << 3});
  EXPECT_TRUE(clock.knows(kPlace, 0, 3, 6));
  EXPECT_FALSE(clock.knows(kPlace, 0, 3, 7));
  EXPECT_FALSE(clock.knows(kPlace, 0, 2, 5));
  EXPECT_TRUE(clock.knows(kPlace, 0, 2, 4));
  // A later time of all lanes contains it.
  clock.join_warp(kPlace, 2, 0, {8, 0, 0});
  EXPECT_TRUE(clock.knows(kPlace, 0, 2, 8));
}

TEST(PeerClock, JoinsWhatEitherKnows) {
  PeerClock a, b;
  a.join_warp(kPlace, 2, 0, {4, 0, 0});
  b.join_warp(kPlace, 2, 1, {9, 0, 0});
  b.join_warp({80, 1, 0}, 1, 0, {2, 0, 0});
  EXPECT_FALSE(a.covers(b.words()));
  a.join(b);
  EXPECT_TRUE(a.covers(b.words()));
  EXPECT_TRUE(a.knows(kPlace, 0, 0, 4));
  EXPECT_TRUE(a.knows(kPlace, 1, 0, 9));
  EXPECT_TRUE(a.knows({80, 1, 0}, 0, 0, 2));
}

TEST(PeerClock, AnEndedLaunchIsKnownAsAWholeAndItsBlocksAreForgotten) {
  PeerClock clock;
  for (std::uint32_t block = 0; block < 100; ++block) {
    clock.join_warp({70, 3, block}, 8, 0, {1, 0, 0});
  }
  const std::size_t before = clock.words().size();
  clock.complete_up_to(70, 3);
  EXPECT_LT(clock.words().size(), before / 50);
  EXPECT_TRUE(clock.knows({70, 2, 9}, 3, 3, 1000));
  EXPECT_TRUE(clock.knows(kPlace, 7, 31, 1000));
  EXPECT_FALSE(clock.knows({70, 4, 0}, 0, 0, 1));
  clock.complete(70, 6);
  EXPECT_TRUE(clock.knows({70, 6, 77}, 0, 0, 1));
  EXPECT_FALSE(clock.knows({70, 5, 0}, 0, 0, 1));
}

}  // namespace
}  // namespace gpusim
