// Local memory of a thread: word w of lane l lies at [w][l], so that lanes which use the same
// address touch one row. Addresses are byte offsets from the start of the thread's stack.
#pragma once

#include <cstdint>
#include <cstring>

#include "execute/context.hpp"

namespace gpusim::execute {

/// Reads or writes bytes of one lane; the range must lie inside.
inline void read_local(const Warp& warp, int lane, std::uint64_t address, void* out,
                       std::uint32_t bytes) {
  const auto* words = reinterpret_cast<const std::uint32_t*>(warp.local.data());
  auto* target = static_cast<std::byte*>(out);
  while (bytes != 0) {
    const auto in_word = static_cast<std::uint32_t>(address & 3);
    const std::uint32_t count = 4 - in_word < bytes ? 4 - in_word : bytes;
    const std::uint32_t* word = words + (address >> 2) * kLanes + static_cast<unsigned>(lane);
    std::memcpy(target, reinterpret_cast<const std::byte*>(word) + in_word, count);
    address += count;
    target += count;
    bytes -= count;
  }
}

inline void write_local(Warp& warp, int lane, std::uint64_t address, const void* in,
                        std::uint32_t bytes) {
  auto* words = reinterpret_cast<std::uint32_t*>(warp.local.data());
  auto* written = reinterpret_cast<LaneMask*>(warp.local_written.data());
  const auto* source = static_cast<const std::byte*>(in);
  while (bytes != 0) {
    const auto in_word = static_cast<std::uint32_t>(address & 3);
    const std::uint32_t count = 4 - in_word < bytes ? 4 - in_word : bytes;
    std::uint32_t* word = words + (address >> 2) * kLanes + static_cast<unsigned>(lane);
    std::memcpy(reinterpret_cast<std::byte*>(word) + in_word, source, count);
    written[address >> 2] |= 1u << lane;
    address += count;
    source += count;
    bytes -= count;
  }
}

/// Bytes of local memory that the warp has now.
inline std::uint64_t local_bytes(const Warp& warp) {
  return warp.local.bytes() / kLanes;
}

}  // namespace gpusim::execute
