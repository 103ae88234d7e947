// NVML over a machine of the folder machines/, through the exported functions.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "nvml/nvml.hpp"

using gpusim::nvml::Device;

extern "C" {
int nvmlInit_v2();
int nvmlShutdown();
int nvmlDeviceGetCount_v2(unsigned* count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device* device);
int nvmlDeviceGetHandleByUUID(const char* uuid, Device* device);
int nvmlDeviceGetHandleByPciBusId_v2(const char* text, Device* device);
int nvmlDeviceGetUUID(Device device, char* text, unsigned length);
int nvmlDeviceGetPciInfo_v3(Device device, gpusim::nvml::PciInfo* info);
int nvmlDeviceGetMigMode(Device device, unsigned* current, unsigned* pending);
int nvmlDeviceGetTopologyCommonAncestor(Device a, Device b, int* level);
int nvmlDeviceGetP2PStatus(Device a, Device b, int capability, int* status);
int nvmlDeviceGetNvLinkState(Device device, unsigned link, int* active);
int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned* count,
                                            gpusim::nvml::ProcessInfo* list);
}

namespace {

class PcieBox : public testing::Test {
 protected:
  void SetUp() override {
    setenv("GPUSIM_MACHINE", GPUSIM_SOURCE_DIR "/machines/pcie-box.yaml", 1);
    ASSERT_EQ(nvmlInit_v2(), gpusim::nvml::kSuccess);
  }
  void TearDown() override { nvmlShutdown(); }
  static Device device(unsigned index) {
    Device result = nullptr;
    EXPECT_EQ(nvmlDeviceGetHandleByIndex_v2(index, &result), gpusim::nvml::kSuccess);
    return result;
  }
};

TEST_F(PcieBox, FindsADeviceByNumberUuidAndPciAddress) {
  unsigned count = 0;
  ASSERT_EQ(nvmlDeviceGetCount_v2(&count), 0);
  EXPECT_EQ(count, 4U);
  char uuid[80];
  ASSERT_EQ(nvmlDeviceGetUUID(device(2), uuid, sizeof(uuid)), 0);
  Device found = nullptr;
  EXPECT_EQ(nvmlDeviceGetHandleByUUID(uuid, &found), 0);
  EXPECT_EQ(found, device(2));
  gpusim::nvml::PciInfo info;
  ASSERT_EQ(nvmlDeviceGetPciInfo_v3(device(2), &info), 0);
  EXPECT_STREQ(info.bus_id, "00000000:B1:00.0");
  EXPECT_EQ(nvmlDeviceGetHandleByPciBusId_v2(info.bus_id, &found), 0);
  EXPECT_EQ(found, device(2));
  EXPECT_EQ(nvmlDeviceGetUUID(device(2), uuid, 5), gpusim::nvml::kInsufficientSize);
  EXPECT_EQ(nvmlDeviceGetHandleByIndex_v2(4, &found), gpusim::nvml::kInvalidArgument);
}

TEST_F(PcieBox, TellsTheTopology) {
  int level = -1, status = -1, active = -1;
  ASSERT_EQ(nvmlDeviceGetTopologyCommonAncestor(device(0), device(1), &level), 0);
  EXPECT_EQ(level, 20);
  ASSERT_EQ(nvmlDeviceGetTopologyCommonAncestor(device(0), device(2), &level), 0);
  EXPECT_EQ(level, 50);
  ASSERT_EQ(nvmlDeviceGetP2PStatus(device(0), device(1), 0, &status), 0);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(nvmlDeviceGetP2PStatus(device(0), device(3), 0, &status), 0);
  EXPECT_NE(status, 0);
  EXPECT_EQ(nvmlDeviceGetNvLinkState(device(0), 0, &active), gpusim::nvml::kInvalidArgument);
}

TEST_F(PcieBox, HasNoPartsAndNoProcesses) {
  unsigned current = 0, pending = 0, count = 0;
  EXPECT_EQ(nvmlDeviceGetMigMode(device(0), &current, &pending), gpusim::nvml::kNotSupported);
  EXPECT_EQ(nvmlDeviceGetComputeRunningProcesses_v3(device(0), &count, nullptr), 0);
  EXPECT_EQ(count, 0U);
}

TEST(Nvml, RefusesCallsBeforeItIsInitialised) {
  unsigned count = 0;
  EXPECT_EQ(nvmlDeviceGetCount_v2(&count), gpusim::nvml::kUninitialized);
}

}  // namespace
