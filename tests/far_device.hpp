// Which device tests compute on, by the environment variable INGOT_TEST_DEVICE, and the CPU device
// that acts as if the host did not see its memory: what is staged for a GPU is staged for it too.
#pragma once

#include <cstdlib>
#include <memory>
#include <string_view>

#include "ops/device/cpu/cpu_device.hpp"

namespace ingot::test {

inline std::string_view device_name() {
  const char* device = std::getenv("INGOT_TEST_DEVICE");
  return device == nullptr ? "cpu" : device;
}
inline bool on_cuda() {
  return device_name() == "cuda";
}

class FarDevice final : public cpu::CpuDevice {
 public:
  using CpuDevice::CpuDevice;
  bool host_visible() const override { return false; }
};

/// The CPU device that the variable names: as it is, or far.
inline std::unique_ptr<cpu::CpuDevice> make_cpu_device(int threads, int processes = 1) {
  if (device_name() == "far") return std::make_unique<FarDevice>(threads, processes);
  return std::make_unique<cpu::CpuDevice>(threads, processes);
}

}  // namespace ingot::test
