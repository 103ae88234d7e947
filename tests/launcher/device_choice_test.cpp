// Which device ranks take, from what they find: made-up machines in place of real ones.
#include "launcher/device_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ingot {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// A node whose ranks all see `gpus` GPUs.
std::vector<RankFinding> node(int ranks, int gpus, const std::string& host = "n1") {
  std::vector<RankFinding> findings;
  for (int rank = 0; rank < ranks; ++rank) {
    RankFinding finding{host, rank, ranks, {}};
    finding.survey.driver_version = finding.survey.runtime_version = 13000;
    finding.survey.cublas = "13.1.0";
    for (int gpu = 0; gpu < gpus; ++gpu) {
      GpuInfo info;
      info.ordinal = gpu;
      info.name = "H100";
      info.uuid = fmt::format("GPU-{}-{}", host, gpu);
      info.major = 9;
      finding.survey.gpus.push_back(info);
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

Config wanting(const std::string& device, const std::string& dedicated = "warn") {
  Config config;
  config.device = device;
  config.environment.require_dedicated = dedicated;
  return config;
}

std::string refusal(const Config& config, const std::vector<RankFinding>& findings) {
  try {
    decide_device(config, findings, 0);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kEnvironment);
    return error.what();
  }
  return "accepted";
}

TEST(DeviceChoice, GivesEachRankTheGpuOfItsPlaceOnTheNode) {
  std::vector<RankFinding> findings = node(2, 4, "n1");
  for (RankFinding& finding : node(2, 4, "n2")) findings.push_back(std::move(finding));
  for (int rank = 0; rank < 4; ++rank) {
    const DeviceChoice choice = decide_device(wanting("auto"), findings, rank);
    EXPECT_TRUE(choice.cuda);
    EXPECT_EQ(choice.ordinal, rank % 2);
    EXPECT_EQ(choice.numerics, "sm_90, cuBLASLt 13.1.0");
    EXPECT_EQ(choice.gpu, "H100");
    EXPECT_EQ(choice.isa, "sm_90");
    EXPECT_THAT(choice.warnings, IsEmpty());
  }
}

TEST(DeviceChoice, TakesTheOneGpuThatALauncherShowsEachRank) {
  std::vector<RankFinding> findings = node(2, 1);
  findings[1].survey.gpus[0].uuid = "GPU-other";
  const DeviceChoice choice = decide_device(wanting("cuda"), findings, 1);
  EXPECT_TRUE(choice.cuda);
  EXPECT_EQ(choice.ordinal, 0);
}

TEST(DeviceChoice, TakesTheCpuWithAReasonWhereAutoFindsNoGpu) {
  std::vector<RankFinding> findings = node(1, 0);
  findings[0].survey.problem = "there is no NVIDIA driver";
  const DeviceChoice choice = decide_device(wanting("auto"), findings, 0);
  EXPECT_FALSE(choice.cuda);
  EXPECT_EQ(choice.reason, "there is no NVIDIA driver");
  EXPECT_THAT(refusal(wanting("cuda"), findings), HasSubstr("there is no NVIDIA driver"));
  EXPECT_FALSE(decide_device(wanting("cpu"), node(1, 1), 0).cuda);
}

TEST(DeviceChoice, RefusesFewerGpusThanRanks) {
  EXPECT_THAT(refusal(wanting("cuda"), node(4, 2)),
              HasSubstr("n1 has 2 GPUs for 4 ranks: start at most 2 ranks per node"));
  EXPECT_FALSE(decide_device(wanting("auto"), node(4, 2), 3).cuda);
}

TEST(DeviceChoice, RefusesTwoRanksOnOneGpu) {
  // Both ranks see two GPUs, but in another order: CUDA_VISIBLE_DEVICES=0,1 and 1,0.
  std::vector<RankFinding> findings = node(2, 2);
  std::swap(findings[1].survey.gpus[0].uuid, findings[1].survey.gpus[1].uuid);
  EXPECT_THAT(refusal(wanting("cuda"), findings), HasSubstr("ranks 0 and 1 would share one GPU"));
}

TEST(DeviceChoice, JudgesAGpuThatIsNotItsOwnAsTheConfigurationSays) {
  std::vector<RankFinding> mig = node(1, 1);
  mig[0].survey.gpus[0].mig = true;
  std::vector<RankFinding> shared = node(1, 1);
  shared[0].survey.gpus[0].other_processes = {4711};
  std::vector<RankFinding> worn = node(1, 1);
  worn[0].survey.gpus[0].uncorrected_errors = 3;
  std::vector<RankFinding> hidden = node(1, 1);
  hidden[0].survey.gpus[0].unknown = "libnvidia-ml.so.1 cannot be opened";
  const std::pair<std::vector<RankFinding>, const char*> cases[] = {
      {mig, "MIG"}, {shared, "pid 4711"}, {worn, "3 uncorrectable"}, {hidden, "libnvidia-ml"}};
  for (const auto& [findings, text] : cases) {
    EXPECT_THAT(refusal(wanting("auto", "strict"), findings), HasSubstr(text));
    const DeviceChoice warned = decide_device(wanting("cuda", "warn"), findings, 0);
    ASSERT_EQ(warned.warnings.size(), 1U);
    EXPECT_THAT(warned.warnings[0], HasSubstr(text));
    EXPECT_THAT(decide_device(wanting("cuda", "off"), findings, 0).warnings, IsEmpty());
  }
}

TEST(DeviceChoice, RanksTellEachOtherAllTheyFound) {
  // Rank 0 asks; the answer that every rank sent is what rank 0 sent.
  std::string sent;
  const DevicePlace place{1, 1, 2, "here", [&](const std::string& text) {
                            sent = text;
                            return std::vector<std::string>{text, text};
                          }};
  Config config = wanting("auto");
  const DeviceChoice choice = choose_device(config, place);
  EXPECT_FALSE(sent.empty());
  EXPECT_FALSE(choice.cuda);  // both ranks say that they are local rank 1: at best they share a GPU
  EXPECT_FALSE(choice.reason.empty());
}

TEST(MachineOf, KeysAGpuByItsNameAndTheCpuByItsThreads) {
  const MachineFigures gpu = machine_of(decide_device(wanting("cuda"), node(1, 1), 0), 8);
  EXPECT_EQ(gpu.processor, "H100");
  EXPECT_EQ(gpu.isa, "sm_90");
  EXPECT_EQ(gpu.threads, 1);
  EXPECT_EQ(machine_of({}, 8), this_machine(8));
}

}  // namespace
}  // namespace ingot
