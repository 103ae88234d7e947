// Accesses to global memory: bounds, life, alignment, initialisation; sectors for the counters and
// units for the order between streams.
#include <algorithm>

#include "execute/memory_access.hpp"
#include "execute/peer_checks.hpp"
#include "memory/peer_access.hpp"

namespace gpusim::execute {
namespace {

constexpr std::uint64_t kSector = 32;

/// Bits of the bitmap words that a range covers, one word after the other.
template <class F>
bool for_words(std::uint64_t first, std::uint64_t bytes, F f) {
  std::uint64_t bit = first;
  const std::uint64_t end = first + bytes;
  while (bit < end) {
    const std::uint64_t word = bit / 64;
    const std::uint64_t stop = std::min(end, (word + 1) * 64);
    const std::uint64_t width = stop - bit;
    const std::uint64_t mask = (width == 64 ? ~0ULL : (1ULL << width) - 1) << (bit % 64);
    if (!f(word, mask)) return false;
    bit = stop;
  }
  return true;
}

bool range_written(const Allocation& allocation, std::uint64_t address, std::uint64_t bytes) {
  return for_words(address - allocation.begin, bytes, [&](std::uint64_t word, std::uint64_t mask) {
    return (allocation.initialised[word].load(std::memory_order_relaxed) & mask) == mask;
  });
}

bool any_written(const Allocation& allocation, std::uint64_t address, std::uint64_t bytes) {
  return !for_words(address - allocation.begin, bytes, [&](std::uint64_t word, std::uint64_t mask) {
    return (allocation.initialised[word].load(std::memory_order_relaxed) & mask) == 0;
  });
}

void mark_written(const Allocation& allocation, std::uint64_t address, std::uint64_t bytes) {
  if (allocation.initialised == nullptr) return;
  for_words(address - allocation.begin, bytes, [&](std::uint64_t word, std::uint64_t mask) {
    std::atomic<std::uint64_t>& bits = allocation.initialised[word];
    if ((bits.load(std::memory_order_relaxed) & mask) != mask) bits.fetch_or(mask);
    return true;
  });
}

/// Notes what is touched, with the page of the last access at hand.
void note_access(Context& context, Site& site, std::uint64_t address, std::uint64_t bytes,
                 bool write) {
  std::uint64_t unit = address / kAccessUnit;
  const std::uint64_t last = (address + bytes - 1) / kAccessUnit;
  constexpr std::uint64_t kUnits = kAccessPage / kAccessUnit;
  while (unit <= last) {
    const std::uint64_t page = unit / kUnits;
    if (site.page != page) {
      site.page = page;
      site.access = &context.accesses.page(page);
    }
    std::uint64_t* bits = write ? site.access->written : site.access->read;
    const std::uint64_t from = unit % 64;
    const std::uint64_t width = std::min(64 - from, last - unit + 1);
    bits[unit % kUnits / 64] |= (width == 64 ? ~0ULL : (1ULL << width) - 1) << from;
    unit += width;
  }
}

/// The same for an aligned element, which lies in one page and one word of its bits.
[[gnu::always_inline]] inline void note_element(Context& context, Site& site, std::uint64_t address,
                                                std::uint64_t bytes, bool write) {
  const std::uint64_t page = address / kAccessPage;
  if (site.page != page) [[unlikely]] {
    site.page = page;
    site.access = &context.accesses.page(page);
  }
  const std::uint64_t unit = address % kAccessPage / kAccessUnit;
  const std::uint64_t units = (bytes + kAccessUnit - 1) / kAccessUnit;
  std::uint64_t* bits = write ? site.access->written : site.access->read;
  bits[unit / 64] |= ((1ULL << units) - 1) << (unit % 64);
}

/// Different sectors among the lanes' addresses.
std::uint64_t count_sectors(LaneMask mask, const std::uint64_t* address) {
  std::uint64_t previous = address[__builtin_ctz(mask)] / kSector;
  std::uint64_t changes = 1;
  bool ascending = true;
  for_lanes(mask & (mask - 1), [&](int lane) {
    const std::uint64_t sector = address[lane] / kSector;
    ascending = ascending && sector >= previous;
    changes += sector != previous ? 1 : 0;
    previous = sector;
  });
  if (ascending) return changes;
  // A small table of those seen.
  constexpr unsigned kSlots = 128;
  std::uint64_t seen[kSlots];
  std::uint64_t used[kSlots / 64] = {};
  std::uint64_t count = 0;
  for_lanes(mask, [&](int lane) {
    const std::uint64_t sector = address[lane] / kSector;
    auto slot = static_cast<unsigned>((sector * 0x9e3779b97f4a7c15ULL) >> 57);
    while ((used[slot / 64] >> (slot % 64) & 1) != 0) {
      if (seen[slot] == sector) return;
      slot = (slot + 1) % kSlots;
    }
    used[slot / 64] |= 1ULL << (slot % 64);
    seen[slot] = sector;
    ++count;
  });
  return count;
}

/// Smallest and largest address of the active lanes, and the bits that any of them has set.
struct Extent {
  std::uint64_t low = ~0ULL, high = 0, bits = 0;
};

__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) Extent extent_of(
    const std::uint64_t* address, LaneMask mask) {
  std::uint64_t low = ~0ULL, high = 0, bits = 0;
  for (std::uint32_t i = 0; i < kLanes; ++i) {
    const std::uint64_t active = 0 - static_cast<std::uint64_t>(mask >> i & 1);
    const std::uint64_t a = address[i] & active;
    const std::uint64_t b = address[i] | ~active;
    low = b < low ? b : low;
    high = a > high ? a : high;
    bits |= a;
  }
  return {low, high, bits};
}

void count_access(Context& context, const MemoryDetail& detail, std::uint64_t lanes,
                  std::uint64_t sectors) {
  if (detail.space == ptx::Space::kConst) return;
  KernelCounters& c = context.counters;
  if (detail.write) {
    c.global_store_bytes += lanes * detail.width;
    ++c.global_store_requests;
    c.global_store_sectors += sectors;
  } else {
    c.global_load_bytes += lanes * detail.width;
    ++c.global_load_requests;
    c.global_load_sectors += sectors;
  }
}

/// Traffic with memory of another device or process.
void count_remote(Context& context, const MemoryDetail& detail, const Allocation& allocation,
                  std::uint64_t lanes) {
  const bool other_device = allocation.kind == MemoryKind::kDevice &&
                            allocation.device != context.launch.request->module->device;
  if (allocation.kind != MemoryKind::kPeer && !other_device) [[likely]] {
    return;
  }
  KernelCounters::Remote& remote = context.counters.remote[allocation.device];
  if (detail.strong || detail.atomic) {
    (detail.write ? remote.flag_stores : remote.flag_loads) += lanes;
  } else {
    (detail.write ? remote.store_bytes : remote.load_bytes) += lanes * detail.width;
  }
}

bool reachable(const Allocation* allocation, std::uint64_t address, std::uint64_t bytes) {
  return allocation != nullptr && allocation->contains(address, bytes) &&
         allocation->live.load(std::memory_order_relaxed);
}

const char* verb(const MemoryDetail& detail) {
  return detail.atomic ? "atomic operation on " : detail.write ? "write to " : "read of ";
}

void report_uninitialised(Context& context, const Op& op, int lane, const Allocation& allocation,
                          std::uint64_t address, std::uint64_t bytes) {
  context.report("uninitialised read", op, lane,
                 "read of " + std::to_string(bytes) + " bytes at offset " +
                     std::to_string(address - allocation.begin) + " of " + allocation.label + " (" +
                     std::to_string(allocation.bytes) + " bytes), never written");
}

void fail_foreign(Context& context, const Op& op, int lane, const Allocation& allocation) {
  context.fail(Fault::kIllegalAddress, op, lane,
               allocation.label + " lies on device " + std::to_string(allocation.device) +
                   ", to which device " + std::to_string(context.launch.request->module->device) +
                   " has no peer access (cudaDeviceEnablePeerAccess)");
}

}  // namespace

std::byte* resolve_global_run(Context& context, const MemoryDetail& detail, const Run& run) {
  const std::uint64_t address = run.address;
  const std::uint64_t bytes =
      std::uint64_t{detail.width} * (run.uniform ? 1u : static_cast<unsigned>(run.lanes));
  Site& site = context.site(detail.site + context.code->first_site);
  const Allocation* allocation = site.allocation;
  if (!reachable(allocation, address, bytes)) {
    allocation = AddressSpace::instance().find(address);
    if (!reachable(allocation, address, bytes)) return nullptr;
    if (!may_access(context.launch.request->module->device, *allocation)) return nullptr;
    site.allocation = allocation;
  }
  if (address % detail.width != 0) return nullptr;
  // What other processes may touch is looked at lane by lane.
  if (allocation->peer.load(std::memory_order_relaxed) != nullptr) return nullptr;
  const Options& options = context.launch.options;
  if (detail.write) {
    if (allocation->read_only) return nullptr;
    mark_written(*allocation, address, bytes);
  } else if (allocation->initialised != nullptr && options.check_initialised &&
             !range_written(*allocation, address, bytes)) {
    return nullptr;
  }
  if (options.check_streams && unordered(detail)) {
    note_access(context, site, address, bytes, detail.write);
  }
  count_remote(context, detail, *allocation, static_cast<unsigned>(run.lanes));
  count_access(context, detail, static_cast<unsigned>(run.lanes),
               (address + bytes - 1) / kSector - address / kSector + 1);
  return allocation->at(address);
}

namespace {

/// All lanes inside one block that lets them pass. False: each has to be looked at.
bool resolve_together(Context& context, const MemoryDetail& detail, LaneMask mask,
                      const std::uint64_t* address, std::byte** place, Site& site) {
  const std::uint64_t bytes = detail.width;
  const Extent extent = extent_of(address, mask);
  if ((extent.bits & (bytes - 1)) != 0) return false;
  const std::uint64_t span = extent.high - extent.low + bytes;
  const Allocation* allocation = site.allocation;
  if (!reachable(allocation, extent.low, span)) {
    allocation = AddressSpace::instance().find(extent.low);
    if (!reachable(allocation, extent.low, span)) return false;
    if (!may_access(context.launch.request->module->device, *allocation)) return false;
    site.allocation = allocation;
  }
  if (detail.write && allocation->read_only) return false;
  // Aligned elements never straddle two words of the bitmap.
  const bool reads = !detail.write || detail.atomic;
  std::atomic<std::uint64_t>* const written = allocation->initialised;
  if (written != nullptr) {
    const std::uint64_t element = (bytes == 64 ? ~0ULL : (1ULL << bytes) - 1);
    const bool check = reads && context.launch.options.check_initialised;
    std::uint64_t missing = 0;
    for_lanes(mask, [&](int lane) {
      const std::uint64_t bit = address[lane] - allocation->begin;
      const std::uint64_t wanted = element << (bit % 64);
      const std::uint64_t have = written[bit / 64].load(std::memory_order_relaxed);
      if ((have & wanted) == wanted) return;
      missing |= 1;
      if (!check && detail.write) written[bit / 64].fetch_or(wanted, std::memory_order_relaxed);
    });
    if (check && missing != 0) return false;
  }
  count_remote(context, detail, *allocation, static_cast<std::uint64_t>(__builtin_popcount(mask)));
  for_lanes(mask, [&](int lane) { place[lane] = allocation->at(address[lane]); });
  if (context.launch.options.check_streams && unordered(detail)) {
    for_lanes(mask,
              [&](int lane) { note_element(context, site, address[lane], bytes, detail.write); });
  }
  return true;
}

}  // namespace

bool resolve_global(Context& context, const Op& op, const MemoryDetail& detail, LaneMask mask,
                    const std::uint64_t* address, std::byte** place) {
  Site& site = context.site(detail.site + context.code->first_site);
  const std::uint64_t bytes = detail.width;
  const Options& options = context.launch.options;
  if (resolve_together(context, detail, mask, address, place, site)) {
    if (options.count_sectors) {
      count_access(context, detail, static_cast<std::uint64_t>(__builtin_popcount(mask)),
                   count_sectors(mask, address));
    }
    if (context.launch.peers != nullptr && unordered(detail)) {
      check_peers(context, op, detail, mask, address);
    }
    return true;
  }
  bool good = true;
  for_lanes(mask, [&](int lane) {
    if (!good) return;
    const std::uint64_t at = address[lane];
    const Allocation* allocation = site.allocation;
    if (!reachable(allocation, at, bytes)) [[unlikely]] {
      allocation = AddressSpace::instance().find(at);
      if (!reachable(allocation, at, bytes)) {
        context.fail(
            Fault::kIllegalAddress, op, lane,
            verb(detail) + std::to_string(bytes) + " bytes: " + describe_address(at, bytes));
        good = false;
        return;
      }
      if (!may_access(context.launch.request->module->device, *allocation)) {
        fail_foreign(context, op, lane, *allocation);
        good = false;
        return;
      }
      site.allocation = allocation;
    }
    if (at % bytes != 0) [[unlikely]] {
      context.fail(Fault::kMisaligned, op, lane,
                   verb(detail) + std::to_string(bytes) + " bytes at offset " +
                       std::to_string(at - allocation->begin) + " of " + allocation->label +
                       ", which is not aligned to " + std::to_string(bytes));
      good = false;
      return;
    }
    place[lane] = allocation->at(at);
    count_remote(context, detail, *allocation, 1);
    if (allocation->initialised != nullptr && options.check_initialised &&
        (!detail.write || detail.atomic)) {
      if (!range_written(*allocation, at, bytes) &&
          (detail.used ? true : !any_written(*allocation, at, bytes))) {
        // An element of which a part was written is let pass: bit fields and padding.
        if (!any_written(*allocation, at, bytes)) {
          report_uninitialised(context, op, lane, *allocation, at, bytes);
        }
      }
    }
    if (detail.write) {
      if (allocation->read_only) {
        context.fail(Fault::kIllegalAddress, op, lane,
                     "write to constant memory: " + allocation->label);
        good = false;
        return;
      }
      mark_written(*allocation, at, bytes);
    }
    if (options.check_streams && unordered(detail)) {
      note_access(context, site, at, bytes, detail.write);
    }
  });
  if (good && options.count_sectors) {
    count_access(context, detail, static_cast<std::uint64_t>(__builtin_popcount(mask)),
                 count_sectors(mask, address));
  }
  if (good && context.launch.peers != nullptr && unordered(detail)) {
    check_peers(context, op, detail, mask, address);
  }
  return good;
}

std::byte* resolve_global_range(Context& context, const Op& op, int lane, std::uint64_t address,
                                std::uint64_t bytes, bool write, std::uint64_t alignment) {
  const Allocation* allocation = AddressSpace::instance().find(address);
  const char* what = write ? "copy to " : "copy from ";
  if (!reachable(allocation, address, bytes)) {
    context.fail(Fault::kIllegalAddress, op, lane,
                 what + std::string("global memory: ") + describe_address(address, bytes));
    return nullptr;
  }
  if (!may_access(context.launch.request->module->device, *allocation)) {
    fail_foreign(context, op, lane, *allocation);
    return nullptr;
  }
  if (address % alignment != 0) {
    context.fail(Fault::kMisaligned, op, lane,
                 what + std::string("offset ") + std::to_string(address - allocation->begin) +
                     " of " + allocation->label + ", which is not aligned to " +
                     std::to_string(alignment));
    return nullptr;
  }
  MemoryDetail range;
  range.write = write;
  range.width = 1;
  count_remote(context, range, *allocation, bytes);
  if (write) {
    if (allocation->read_only) {
      context.fail(Fault::kIllegalAddress, op, lane,
                   "write to constant memory: " + allocation->label);
      return nullptr;
    }
    mark_written(*allocation, address, bytes);
    context.counters.global_store_bytes += bytes;
    context.counters.global_store_sectors += (bytes + kSector - 1) / kSector;
  } else {
    if (allocation->initialised != nullptr && context.launch.options.check_initialised &&
        !any_written(*allocation, address, bytes)) {
      report_uninitialised(context, op, lane, *allocation, address, bytes);
    }
    context.counters.global_load_bytes += bytes;
    context.counters.global_load_sectors += (bytes + kSector - 1) / kSector;
  }
  check_peers_range(context, op, lane, *allocation, address, bytes, write);
  if (context.launch.options.check_streams) {
    if (write) {
      context.accesses.write(address, bytes);
    } else {
      context.accesses.read(address, bytes);
    }
  }
  return allocation->at(address);
}

}  // namespace gpusim::execute
