// The two-level table behind AddressSpace::find. Leaves are made when a block covers a region in
// part and are never freed, so that a reader may hold one without a lock.
#include "memory/index.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace gpusim {

namespace {

/// Zeroed pages outside the heap: tagged pointers would look like leaks to a sanitizer.
void* pages(std::uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

}  // namespace

AllocationIndex::AllocationIndex()
    : regions_(static_cast<Entry*>(pages(kRegions * sizeof(Entry)))) {}

AllocationIndex::Entry* AllocationIndex::leaf_of(std::uint64_t region) {
  std::uintptr_t entry = regions_[region].load(std::memory_order_relaxed);
  if ((entry & kLeafTag) != 0) return reinterpret_cast<Entry*>(entry - kLeafTag);
  auto* leaf = static_cast<Entry*>(pages(kPages * sizeof(Entry)));
  for (std::uint64_t page = 0; page < kPages; ++page) {
    leaf[page].store(entry, std::memory_order_relaxed);
  }
  regions_[region].store(reinterpret_cast<std::uintptr_t>(leaf) + kLeafTag,
                         std::memory_order_release);
  return leaf;
}

void AllocationIndex::set(std::uint64_t begin, std::uint64_t bytes, Allocation* value) {
  if (bytes == 0) return;
  auto entry = reinterpret_cast<std::uintptr_t>(value);
  std::uint64_t page = (begin - kGlobalBase) >> kPageBits;
  const std::uint64_t end = ((begin - kGlobalBase + bytes - 1) >> kPageBits) + 1;
  while (page < end) {
    const std::uint64_t region = page / kPages;
    const std::uint64_t stop = std::min(end, (region + 1) * kPages);
    bool leaf = (regions_[region].load(std::memory_order_relaxed) & kLeafTag) != 0;
    if (stop - page == kPages && !leaf) {
      regions_[region].store(entry, std::memory_order_release);
    } else {
      Entry* pages = leaf_of(region);
      for (std::uint64_t i = page; i < stop; ++i) {
        pages[i % kPages].store(entry, std::memory_order_release);
      }
    }
    page = stop;
  }
}

Allocation* AllocationIndex::find(std::uint64_t address) const {
  const std::uint64_t offset = address - kGlobalBase;
  std::uintptr_t entry = regions_[offset >> kRegionBits].load(std::memory_order_acquire);
  if ((entry & kLeafTag) != 0) {
    const Entry* leaf = reinterpret_cast<const Entry*>(entry - kLeafTag);
    entry = leaf[(offset >> kPageBits) % kPages].load(std::memory_order_acquire);
  }
  return reinterpret_cast<Allocation*>(entry);
}

}  // namespace gpusim
