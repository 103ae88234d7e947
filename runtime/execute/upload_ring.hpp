// What the host hands to a step while earlier steps still run: contents are copied into pinned
// memory at once, and from there to the device in the stream's order. Two slots, so that the next
// batch is staged while the last one is still being copied.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "ops/device/device.hpp"

namespace ingot {

class UploadRing {
 public:
  /// Each slot holds this many bytes; every add() takes its size rounded up to 256.
  UploadRing(Device& device, std::int64_t slot_bytes);

  /// Begins the next slot, once the copies from its last use are done.
  void begin();
  /// Copies `bytes` at `from`, which may change afterwards, to device memory in the order of
  /// `stream`.
  void add(Stream& stream, void* to, const void* from, std::int64_t bytes);

  static std::int64_t rounded(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }

 private:
  struct Slot {
    Buffer memory;
    std::unique_ptr<Event> copied;
  };

  Device& device_;
  std::array<Slot, 2> slots_;
  std::size_t current_ = 0;
  std::int64_t used_ = 0;  ///< bytes of the current slot
};

}  // namespace ingot
