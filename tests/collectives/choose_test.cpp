// Which transport a job gets, by what it asks for and how its ranks lie on nodes.
#include "collectives/choose.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

const Nodes kOneNode{.ranks = {4}};
const Nodes kTwoNodes{.ranks = {2, 2}};
const Nodes kUnequal{.ranks = {1, 2}};
const Nodes kOneRankEach{.ranks = {1, 1, 1}};

std::string chosen(std::string_view asked, const Nodes& nodes) {
  return choose_transport(asked, nodes, DeviceKind::kCpu);
}

TEST(ChooseTransport, TakesTheFastestThatReachesAllRanks) {
  EXPECT_EQ(chosen("auto", kOneNode), "shm");
  EXPECT_EQ(chosen("auto", kTwoNodes), "hierarchical");
  EXPECT_EQ(chosen("auto", kUnequal), "hierarchical");
  EXPECT_EQ(chosen("auto", kOneRankEach), "mpi");
}

const NcclState kNccl{.version = "2.28.3", .problem = ""};
const NcclState kNoNccl{.version = "", .problem = ""};
const NcclState kSharedGpu{.version = "2.28.3", .problem = "ranks 0 and 1 share a GPU"};

TEST(ChooseTransport, TakesNcclWhereEveryRankHasAGpuOfItsOwn) {
  for (const Nodes& nodes : {kOneNode, kTwoNodes, kOneRankEach}) {
    EXPECT_EQ(choose_transport("auto", nodes, DeviceKind::kCuda, kNccl), "nccl");
    EXPECT_EQ(choose_transport("nccl", nodes, DeviceKind::kCuda, kNccl), "nccl");
    EXPECT_EQ(choose_transport("auto", nodes, DeviceKind::kCuda, kNoNccl), "mpi");
    EXPECT_EQ(choose_transport("auto", nodes, DeviceKind::kCuda, kSharedGpu), "mpi");
    EXPECT_EQ(choose_transport("mpi", nodes, DeviceKind::kCuda, kNccl), "mpi");
  }
}

TEST(ChooseTransport, RefusesNcclWhereItCannotBeHad) {
  const auto refused = [](DeviceKind device, const NcclState& nccl, ExitCode code,
                          const std::string& words) {
    try {
      choose_transport("nccl", kOneNode, device, nccl);
      FAIL() << "not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_THAT(error.what(), ::testing::HasSubstr(words));
    }
  };
  refused(DeviceKind::kCpu, {}, ExitCode::kConfiguration, "set device: cuda");
  refused(DeviceKind::kCuda, kNoNccl, ExitCode::kEnvironment, "built without NCCL");
  refused(DeviceKind::kCuda, kSharedGpu, ExitCode::kEnvironment, "ranks 0 and 1 share a GPU");
}

TEST(ChooseTransport, StagesMemoryOfGpusForMpi) {
  for (const Nodes& nodes : {kOneNode, kTwoNodes, kOneRankEach}) {
    EXPECT_EQ(choose_transport("auto", nodes, DeviceKind::kCuda), "mpi");
  }
  EXPECT_EQ(choose_transport("shm", kOneNode, DeviceKind::kCuda), "shm");
}

TEST(ChooseTransport, TakesWhatIsAskedFor) {
  for (const Nodes& nodes : {kOneNode, kTwoNodes, kUnequal, kOneRankEach}) {
    EXPECT_EQ(chosen("mpi", nodes), "mpi");
  }
  EXPECT_EQ(chosen("shm", kOneNode), "shm");
  EXPECT_EQ(chosen("hierarchical", kTwoNodes), "hierarchical");
}

TEST(ChooseTransport, TakesTheOnlyPartOfAHierarchyThatHasSeveralRanks) {
  EXPECT_EQ(chosen("hierarchical", kOneNode), "shm");
  EXPECT_EQ(chosen("hierarchical", kOneRankEach), "mpi");
}

TEST(ChooseTransport, RefusesSharedMemoryAcrossNodes) {
  try {
    chosen("shm", kTwoNodes);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("2 nodes"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("take auto or hierarchical"));
  }
}

}  // namespace
}  // namespace ingot
