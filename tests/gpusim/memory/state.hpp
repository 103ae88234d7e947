// What AddressSpace keeps; shared by the files of this folder only.
//
// Both descriptors are sparse files as large as the global range: the byte of address A lies at
// offset A - kGlobalBase of the memory file, its shadow bit at one eighth of that in the shadow
// file. Blocks start on multiples of 64 KiB (plus kDeviceOffset), so that neither their pages nor
// those of their shadow are shared with another block.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "memory/address_space.hpp"
#include "memory/index.hpp"

namespace gpusim {

constexpr std::uint64_t kGlobalBytes = kGlobalEnd - kGlobalBase;
constexpr std::uint64_t kBlockAlignment = 64 * 1024;
/// Device memory starts here in its first page: aligned to what CUDA promises and no further.
constexpr std::uint64_t kDeviceOffset = 512;
constexpr std::uint64_t kGuardBytes = 4096;  ///< at least so much lies between two blocks
constexpr std::uint64_t kPageBytes = 4096;

struct AddressSpace::State {
  mutable std::mutex mutex;
  int memory_descriptor = -1;
  int shadow_descriptor = -1;
  std::byte* alias = nullptr;   ///< of kGlobalBase
  std::byte* shadow = nullptr;  ///< of kGlobalBase
  AllocationIndex index;
  std::uint64_t next = kGlobalBase + kBlockAlignment;
  std::map<std::uint64_t, Allocation*> blocks;  ///< by begin; live and freed ones
  std::deque<Allocation*> freed;                ///< oldest first: reused when addresses run out
  std::map<int, std::uint64_t> used;            ///< bytes per device
  /// Registered host memory, sorted by begin. Replaced as a whole: a reader may hold an old one.
  std::atomic<const std::vector<Allocation*>*> registered{nullptr};
  std::deque<std::vector<Allocation*>> registered_versions;
  std::deque<Allocation*> unregistered;

  void publish_registered(std::vector<Allocation*> list) {
    registered_versions.push_back(std::move(list));
    registered.store(&registered_versions.back(), std::memory_order_release);
  }

  /// A fresh range of addresses, a multiple of kBlockAlignment; 0 with all in use.
  std::uint64_t take_addresses(std::uint64_t bytes);
  std::byte* host_of(std::uint64_t address) const { return alias + (address - kGlobalBase); }
  std::atomic<std::uint64_t>* shadow_of(std::uint64_t address) const {
    return reinterpret_cast<std::atomic<std::uint64_t>*>(shadow + (address - kGlobalBase) / 8);
  }
};

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

/// Reserves the range that programs see, without access, and maps the files for the simulator.
/// Ends the process with a message where the kernel refuses.
void map_address_space(int& memory_descriptor, int& shadow_descriptor, std::byte*& alias,
                       std::byte*& shadow);
/// Names the block when the host touches device memory; other faults go to who was there before.
void install_fault_handler();

}  // namespace gpusim
