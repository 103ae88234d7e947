// Finds the block that holds an address, without a lock. Two levels: one entry per 2 MiB of the
// global range that names a block covering all of it, or a leaf with one entry per 4 KiB page.
// Blocks therefore start on pages of their own; blocks of 80 GiB cost 300 KiB.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/address_space.hpp"

namespace gpusim {

class AllocationIndex {
 public:
  AllocationIndex();
  /// Enters `value` (null: nothing) for all pages that overlap [begin, begin + bytes). Callers
  /// exclude each other.
  void set(std::uint64_t begin, std::uint64_t bytes, Allocation* value);
  /// What was entered for the page of `address`, which lies in the global range.
  Allocation* find(std::uint64_t address) const;

 private:
  static constexpr int kPageBits = 12;
  static constexpr int kRegionBits = 21;
  static constexpr std::uint64_t kRegions = (kGlobalEnd - kGlobalBase) >> kRegionBits;
  static constexpr std::uint64_t kPages = 1ULL << (kRegionBits - kPageBits);
  static constexpr std::uintptr_t kLeafTag = 1;
  using Entry = std::atomic<std::uintptr_t>;

  Entry* leaf_of(std::uint64_t region);
  Entry* regions_ = nullptr;
};

}  // namespace gpusim
