// Asynchronous copies into and out of shared memory. They are performed as late as the program
// allows (at the wait for their group, or when somebody looks at their mbarrier), and until then
// the destination counts as never written: code that reads too early is found without luck.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace gpusim::execute {

struct Op;

/// One cp.async of some lanes.
struct AsyncCopy {
  std::uint64_t sequence = 0;  ///< of the warp, to tell what came before an arrival
  std::uint32_t lanes = 0;
  std::uint8_t bytes = 0;
  const std::byte* source[32];    ///< in the simulator's memory
  std::uint32_t destination[32];  ///< offset in shared memory
  std::uint8_t source_bytes[32];  ///< the rest is filled with zeros
};

/// What cp.async.commit_group closed: for each of `lanes` one group.
struct AsyncGroup {
  std::uint32_t lanes = 0;
  std::vector<AsyncCopy> copies;
};

/// An arrival on an mbarrier that is due when earlier copies of a lane are complete.
struct AsyncArrival {
  std::uint64_t sequence = 0;
  int lane = 0;
  std::uint32_t barrier = 0;  ///< offset in shared memory
};

/// A bulk copy; `source` and `destination` lie in the simulator's memory.
struct BulkCopy {
  const Op* op = nullptr;
  int lane = 0;
  const std::byte* source = nullptr;
  std::byte* destination = nullptr;
  std::uint32_t bytes = 0;
  std::uint32_t shared = 0;  ///< offset of the destination, where that is shared memory
};

struct BulkGroup {
  int lane = 0;
  std::vector<BulkCopy> copies;
};

/// Those of one warp.
struct AsyncCopies {
  std::uint64_t sequence = 0;
  std::vector<AsyncCopy> open;  ///< not committed
  std::deque<AsyncGroup> groups;
  std::vector<AsyncArrival> arrivals;
  std::vector<BulkCopy> bulk_open;
  std::deque<BulkGroup> bulk_groups;
  void clear();
};

}  // namespace gpusim::execute
