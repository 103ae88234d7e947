// Moves contents between the host and device memory outside of steps: when a run starts, saves or
// answers. Every call blocks until its bytes have moved; other streams' work on them must be done.
#pragma once

#include <cstdint>
#include <memory>

#include "ops/device/device.hpp"

namespace ingot {

class HostTransfer {
 public:
  /// Allocates what it moves bytes through, where the host does not see the device's memory.
  explicit HostTransfer(Device& device);

  void write(void* device_memory, const void* from, std::int64_t bytes);
  void read(void* to, const void* device_memory, std::int64_t bytes);
  /// Between two places of the device.
  void copy(void* to, const void* from, std::int64_t bytes);
  void zero(void* device_memory, std::int64_t bytes);

 private:
  Device& device_;
  Buffer staging_;                  ///< empty where the host sees the device's memory
  std::unique_ptr<Stream> stream_;  ///< null there
};

}  // namespace ingot
