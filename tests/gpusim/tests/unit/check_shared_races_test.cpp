// The race detector on its own: orders of accesses and synchronisations, without kernels.
#include <gtest/gtest.h>

#include "check/shared_races.hpp"

namespace gpusim::check {
namespace {

constexpr std::uint64_t kBoth = 3;

class SharedRacesTest : public testing::Test {
 protected:
  void SetUp() override { races_.start(true, 1024, 4); }
  bool conflict(int warp, int lane, SharedAccess kind, std::uint32_t offset = 64) {
    return races_.access(warp, lane, offset, 4, kind).found;
  }
  SharedRaces races_;
};

TEST_F(SharedRacesTest, ReadersDoNotConflict) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kRead));
  EXPECT_FALSE(conflict(1, 5, SharedAccess::kRead));
}

TEST_F(SharedRacesTest, AWriteConflictsWithAnEarlierReaderEvenOfSeveral) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kRead));
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kRead));
  EXPECT_TRUE(conflict(1, 0, SharedAccess::kWrite));
}

TEST_F(SharedRacesTest, ABarrierOfSomeWarpsOrdersOnlyThose) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kWrite));
  races_.meet(kBoth, kBoth);
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kRead));
  EXPECT_TRUE(conflict(2, 0, SharedAccess::kRead));
}

TEST_F(SharedRacesTest, OneThatOnlyArrivesIsNotOrderedBehindOthers) {
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kWrite));
  races_.meet(kBoth, 2);  // warp 0 arrives, warp 1 waits
  EXPECT_TRUE(conflict(0, 0, SharedAccess::kWrite));
}

TEST_F(SharedRacesTest, OrderIsTransitive) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kWrite));
  races_.meet(kBoth, kBoth);
  races_.meet(6, 6);  // warps 1 and 2
  EXPECT_FALSE(conflict(2, 0, SharedAccess::kWrite));
}

TEST_F(SharedRacesTest, AtomicsConflictWithPlainAccessesOnly) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kAtomic));
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kAtomic));
  EXPECT_FALSE(conflict(2, 0, SharedAccess::kStrongRead));
  EXPECT_TRUE(conflict(2, 0, SharedAccess::kRead));
}

TEST_F(SharedRacesTest, AReleaseAndAnAcquireOrder) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kWrite));
  races_.release(0);
  EXPECT_TRUE(conflict(2, 0, SharedAccess::kRead));
  races_.acquire(1);
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kRead));
}

TEST_F(SharedRacesTest, LanesOfAWarpAreOrderedByAWarpSyncOnly) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kWrite));
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kRead));
  EXPECT_TRUE(conflict(0, 1, SharedAccess::kRead));
  races_.warp_sync(0);
  EXPECT_FALSE(conflict(0, 1, SharedAccess::kRead));
}

TEST_F(SharedRacesTest, RunsAgreeWithSingleAccesses) {
  EXPECT_TRUE(races_.access_run(0, 0, 32, 0, 4, SharedAccess::kWrite));
  EXPECT_TRUE(races_.access_run(0, 0, 32, 0, 4, SharedAccess::kRead));
  EXPECT_FALSE(races_.access_run(1, 0, 32, 0, 4, SharedAccess::kRead));
  EXPECT_FALSE(races_.access_run(0, 0, 31, 4, 4, SharedAccess::kRead)) << "shifted by a lane";
  races_.meet(kBoth, kBoth);
  EXPECT_TRUE(races_.access_run(1, 0, 32, 0, 4, SharedAccess::kRead));
  EXPECT_FALSE(races_.access_run(0, 0, 32, 0, 4, SharedAccess::kWrite));
  EXPECT_TRUE(races_.access_run(1, 0, 8, 0, 16, SharedAccess::kRead));
}

TEST_F(SharedRacesTest, AFreshBlockRemembersNothing) {
  EXPECT_FALSE(conflict(0, 0, SharedAccess::kWrite));
  EXPECT_FALSE(conflict(3, 0, SharedAccess::kRead, 128));
  races_.start(true, 1024, 4);
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kRead));
  EXPECT_FALSE(conflict(1, 0, SharedAccess::kWrite, 128));
}

}  // namespace
}  // namespace gpusim::check
