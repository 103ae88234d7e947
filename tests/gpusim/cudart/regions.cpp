#include "cudart/regions.hpp"

#include <cinttypes>
#include <cstdio>

#include "cudart/internal.hpp"
#include "machine/machine.hpp"
#include "memory/address_space.hpp"

namespace gpusim::cudart {

namespace {

std::string hexadecimal(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%" PRIx64, value);
  return text;
}

std::uint64_t run_address(const Region& region, std::int64_t run) {
  return region.address + static_cast<std::uint64_t>(run * region.stride);
}

/// First byte of the run that was never written.
std::uint64_t first_uninitialised(const Allocation& allocation, std::uint64_t address,
                                  std::uint64_t bytes) {
  std::uint64_t low = 0, high = bytes;  // all of [0, low) written, not all of [0, high)
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (allocation.is_initialised(address, middle) ? low : high) = middle;
  }
  return address + low;
}

std::string describe(const Region& region) {
  std::string text = region.what;
  text += region.written ? " (written)" : " (read)";
  return text;
}

Fault check_place(const std::string& name, int device, const Region& region) {
  const std::uint64_t end =
      run_address(region, region.runs - 1) + static_cast<std::uint64_t>(region.bytes);
  const Allocation* allocation = AddressSpace::instance().find(region.address);
  const auto span = static_cast<std::uint64_t>(end - region.address);
  if (allocation == nullptr) {
    report_problem("illegal address", name + ": " + describe(region) + " at " +
                                          hexadecimal(region.address) +
                                          " is not memory that a device can access");
    return Fault::kIllegalAddress;
  }
  if (!allocation->live.load()) {
    report_problem("use after free", name + ": " + describe(region) + " at " +
                                         hexadecimal(region.address) + " lies in freed memory, " +
                                         allocation->label);
    return Fault::kIllegalAddress;
  }
  if (!allocation->contains(region.address, span)) {
    report_problem("out of bounds",
                   name + ": " + describe(region) + " takes " + std::to_string(span) +
                       " bytes from " + hexadecimal(region.address) + ", of which " +
                       std::to_string(allocation->begin + allocation->bytes - region.address) +
                       " are left in " + allocation->label + " of " +
                       std::to_string(allocation->bytes) + " bytes");
    return Fault::kIllegalAddress;
  }
  const bool device_memory =
      allocation->kind == MemoryKind::kDevice || allocation->kind == MemoryKind::kPeer;
  if (device_memory && !may_access(device, allocation->device)) {
    report_problem("illegal address", name + " on device " + std::to_string(device) + ": " +
                                          describe(region) + " lies on device " +
                                          std::to_string(allocation->device) + ", " +
                                          allocation->label + ", without peer access");
    return Fault::kIllegalAddress;
  }
  if (region.address % region.alignment != 0) {
    report_problem("misaligned address", name + ": " + describe(region) + " at " +
                                             hexadecimal(region.address) +
                                             " is not aligned to its element");
    return Fault::kMisaligned;
  }
  if (region.written && allocation->read_only) {
    report_problem("illegal address",
                   name + ": " + describe(region) + " is constant memory, " + allocation->label);
    return Fault::kIllegalAddress;
  }
  return Fault::kNone;
}

void check_initialised(const std::string& name, const Region& region) {
  const Allocation* allocation = AddressSpace::instance().find(region.address);
  for (std::int64_t run = 0; run < region.runs; ++run) {
    const std::uint64_t address = run_address(region, run);
    const auto bytes = static_cast<std::uint64_t>(region.bytes);
    if (allocation->is_initialised(address, bytes)) continue;
    const std::uint64_t first = first_uninitialised(*allocation, address, bytes);
    report_problem("uninitialised read", name + " reads " + region.what + ", of which byte " +
                                             std::to_string(first - region.address) + " (byte " +
                                             std::to_string(first - allocation->begin) + " of " +
                                             allocation->label + ") was never written");
    return;
  }
}

}  // namespace

Region normal(Region region) {
  if (region.stride < 0) {
    region.address += static_cast<std::uint64_t>(region.stride * (region.runs - 1));
    region.stride = -region.stride;
  }
  if (region.stride == region.bytes || region.runs == 1) {
    region.bytes *= region.runs;
    region.runs = 1;
    region.stride = region.bytes;
  }
  return region;
}

AccessSet accesses_of(const std::vector<Region>& regions) {
  AccessSet set;
  if (!options().check_streams) return set;
  for (const Region& region : regions) {
    for (std::int64_t run = 0; run < region.runs; ++run) {
      const auto bytes = static_cast<std::uint64_t>(region.bytes);
      if (region.written) {
        set.write(run_address(region, run), bytes);
      } else {
        set.read(run_address(region, run), bytes);
      }
    }
  }
  return set;
}

std::byte* host_address(std::uint64_t device_address) {
  const Allocation* allocation = AddressSpace::instance().find(device_address);
  return allocation == nullptr ? nullptr : allocation->at(device_address);
}

Fault check_regions(const std::string& name, int device, const std::vector<Region>& regions) {
  for (const Region& region : regions) {
    if (region.bytes == 0 || region.runs == 0) continue;
    const Fault fault = check_place(name, device, normal(region));
    if (fault != Fault::kNone) return fault;
  }
  for (const Region& region : regions) {
    const bool reads = !region.written && region.bytes > 0 && region.runs > 0;
    if (reads && options().check_initialised) check_initialised(name, normal(region));
  }
  return Fault::kNone;
}

void mark_written(const std::vector<Region>& regions) {
  for (const Region& unordered : regions) {
    if (!unordered.written || unordered.bytes == 0 || unordered.runs == 0) continue;
    const Region region = normal(unordered);
    const Allocation* allocation = AddressSpace::instance().find(region.address);
    for (std::int64_t run = 0; run < region.runs; ++run) {
      allocation->mark_initialised(run_address(region, run),
                                   static_cast<std::uint64_t>(region.bytes));
    }
  }
}

}  // namespace gpusim::cudart
