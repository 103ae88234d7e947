// Device memory that a piece of work of another library (cuBLAS, NCCL) reads and writes, and the
// tests that a kernel's accesses go through, for all of it at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "check/access_set.hpp"
#include "execute/engine.hpp"

namespace gpusim::cudart {

/// `runs` runs of `bytes`, `stride` bytes from one to the next.
struct Region {
  std::string what;  ///< "A", "bias": appears in reports
  std::uint64_t address = 0;
  std::int64_t bytes = 0;
  std::int64_t runs = 1;
  std::int64_t stride = 0;
  bool written = false;
  std::uint64_t alignment = 4;  ///< bytes of an element
};

/// Merges runs without gaps, and orders the runs of a negative stride.
Region normal(Region region);

/// What the check of the order between streams is told; empty where it is off.
AccessSet accesses_of(const std::vector<Region>& regions);

/// The address at which the simulator finds device memory; null where there is none.
std::byte* host_address(std::uint64_t device_address);

/// All regions must lie in live allocations that `device` may access, else the problem is reported
/// and the fault is what a kernel's would be; what is read must have been written before, else that
/// is reported.
Fault check_regions(const std::string& name, int device, const std::vector<Region>& regions);
/// What is written counts as initialised from now on.
void mark_written(const std::vector<Region>& regions);

}  // namespace gpusim::cudart
