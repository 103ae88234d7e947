// Memory of the CPU device: shared, backed by an anonymous file (memfd), so that its descriptor can
// be passed to the other ranks of the node and mapped there. Nothing lies in a file system.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "ops/device/device.hpp"

namespace ingot::cpu {

/// The blocks that a device gave out. Buffers share ownership of it and may outlive their device.
class Memory : public std::enable_shared_from_this<Memory> {
 public:
  /// `bytes` of zeros, page aligned and already backed by pages, so that a step takes no page
  /// faults for them; its descriptor is the memfd. Throws Error(kInternal) naming `label` where the
  /// memory cannot be had.
  Buffer allocate(std::int64_t bytes, const std::string& label);
  std::int64_t allocated_bytes() const;

 private:
  void release(void* data, std::int64_t bytes, int descriptor);

  mutable std::mutex mutex_;
  std::int64_t allocated_bytes_ = 0;
};

}  // namespace ingot::cpu
