// Machine files: what they may say and how they are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "machine/error_codes.hpp"
#include "machine/parse.hpp"

namespace gpusim {
namespace {

using testing::HasSubstr;

Machine parse(const std::string& text, int ranks = 1) {
  return parse_machine(text, "m.yaml", ranks);
}

std::string error_of(const std::string& text) {
  try {
    parse(text);
  } catch (const MachineError& error) {
    return error.what();
  }
  return "no error";
}

TEST(MachineFile, ReadsDevicesLinksAndFaults) {
  const Machine m = parse(R"(
name: two
driver_version: 12080
devices:
  - {count: 2, name: A, architecture: 80, multiprocessors: 7, memory: 3 GiB, numa_node: [0, 1]}
  - {name: B, memory: 0x40000000, pci_bus: 0xb1, uuid: GPU-1}
links:
  - {between: all, kind: host, peer_access: false}
  - {between: [0, 2], kind: nvlink, lanes: 4, gigabytes_per_second: 100.5}
faults:
  - {call: cudaMalloc, device: 1, count: 3, error: cudaErrorMemoryAllocation}
  - {call: device lost, error: 719}
)");
  ASSERT_EQ(m.devices.size(), 3U);
  EXPECT_EQ(m.driver_version, 12080);
  EXPECT_EQ(m.devices[1].architecture, 80);
  EXPECT_EQ(m.devices[1].memory_bytes, 3ULL << 30);
  EXPECT_EQ(m.devices[1].numa_node, 1);
  EXPECT_EQ(m.devices[2].memory_bytes, 1ULL << 30);
  EXPECT_EQ(m.devices[2].uuid, "GPU-1");
  EXPECT_NE(m.devices[0].uuid, m.devices[1].uuid);
  EXPECT_NE(m.devices[0].pci_bus, m.devices[1].pci_bus);
  ASSERT_EQ(m.links.size(), 3U);
  EXPECT_EQ(m.links[2].kind, "nvlink");
  EXPECT_EQ(m.links[2].lanes, 4);
  EXPECT_FALSE(m.links[0].peer_access);
  ASSERT_EQ(m.faults.size(), 2U);
  EXPECT_EQ(m.faults[0].error, 2);
  EXPECT_EQ(m.faults[0].count, 3U);
  EXPECT_EQ(m.faults[1].error, 719);
}

TEST(MachineFile, GivesOneDevicePerRankWhereAsked) {
  EXPECT_EQ(parse("devices: [{count: ranks}]", 5).devices.size(), 5U);
}

TEST(MachineFile, MayHaveNoDevices) {
  EXPECT_TRUE(parse("devices: []").devices.empty());
}

TEST(MachineFile, NamesLineAndColumnOfAnUnknownKey) {
  const std::string error = error_of("name: x\ndevices:\n  - {nmae: A}\n");
  EXPECT_THAT(error, HasSubstr("m.yaml:3:6: unknown key 'nmae' of a device"));
  EXPECT_THAT(error, HasSubstr("multiprocessors"));
}

TEST(MachineFile, RefusesWhatItCannotMean) {
  EXPECT_THAT(error_of("devices: [{count: 0}]"), HasSubstr("whole number from 1 to 64"));
  EXPECT_THAT(error_of("devices: [{memory: 2 GB}]"), HasSubstr("m.yaml:1:20"));
  EXPECT_THAT(error_of("devices: [{memory: 17592186044416 GiB}]"), HasSubstr("whole number"));
  EXPECT_THAT(error_of("devices: [{mig: maybe}]"), HasSubstr("expected true or false"));
  EXPECT_THAT(error_of("name: a\nname: b\ndevices: []"), HasSubstr("m.yaml:2:1: key 'name'"));
  EXPECT_THAT(error_of("name: a"), HasSubstr("needs the key 'devices'"));
  EXPECT_THAT(error_of("devices: [{}]\nlinks: [{kind: nvlink}]"), HasSubstr("'between'"));
  EXPECT_THAT(error_of("devices: [{}]\nlinks: [{between: [0, 1]}]"), HasSubstr("from 0 to 0"));
  EXPECT_THAT(error_of("devices: [{count: 2}]\nlinks: [{between: all, kind: wifi}]"),
              HasSubstr("expected nvlink, pcie or host"));
  EXPECT_THAT(error_of("devices: [{}]\nfaults: [{call: x, error: cudaErrorNice}]"),
              HasSubstr("cudaErrorNice"));
  EXPECT_THAT(error_of("devices: [{count: 2, pci_bus: [1, 1]}]"), HasSubstr("pci_bus 1"));
  EXPECT_THAT(error_of("devices: [{"), HasSubstr("m.yaml:1:"));
}

TEST(MachineFile, EveryFileThatComesAlongIsValid) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(GPUSIM_SOURCE_DIR "/machines")) {
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    EXPECT_NO_THROW({
      const Machine m = parse_machine(text, entry.path().string(), 4);
      EXPECT_FALSE(m.devices.empty());
    }) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 5);
}

TEST(ErrorCodes, KnowNamesAndNumbers) {
  EXPECT_EQ(error_code("cudaErrorIllegalAddress"), 700);
  EXPECT_EQ(error_code("2"), 2);
  EXPECT_EQ(error_code("cudaErrorNothing"), -1);
  EXPECT_EQ(error_code("2x"), -1);
  int last = -1;
  for (const ErrorCode& code : error_codes()) {
    EXPECT_GT(code.number, last);
    last = code.number;
  }
}

}  // namespace
}  // namespace gpusim
