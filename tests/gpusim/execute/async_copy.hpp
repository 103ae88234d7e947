// Asynchronous copies into and out of shared memory. They are performed as late as the program
// allows (at the wait for their group, or when somebody looks at their mbarrier), and until then
// the destination counts as never written: code that reads too early is found without luck.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace gpusim::execute {

struct Context;
struct Op;

/// One cp.async of some lanes.
struct AsyncCopy {
  const Op* op = nullptr;
  std::uint32_t lanes = 0;
  std::uint8_t bytes = 0;
  std::uint64_t source[32];
  std::uint32_t destination[32];
  std::uint8_t source_bytes[32];
};

/// What cp.async.commit_group closed: for each of `lanes` one group.
struct AsyncGroup {
  std::uint32_t lanes = 0;
  std::vector<AsyncCopy> copies;
};

/// An arrival on an mbarrier that is due when earlier copies of these lanes are complete.
struct AsyncArrival {
  std::uint32_t barrier[32];
  std::uint32_t lanes = 0;
  bool noinc = false;
};

/// Bulk copies of some lanes, with a bulk_group instead of an mbarrier.
struct BulkCopy {
  const Op* op = nullptr;
  std::uint32_t lane = 0;
  bool to_shared = false;
  std::uint32_t shared = 0;
  std::uint64_t global = 0;
  std::uint32_t bytes = 0;
};
struct BulkGroup {
  std::uint32_t lane = 0;
  std::vector<BulkCopy> copies;
};

/// Those of one warp.
struct AsyncCopies {
  std::vector<AsyncCopy> open;  ///< not committed
  std::deque<AsyncGroup> groups;
  std::vector<AsyncArrival> arrivals;
  std::vector<BulkCopy> bulk_open;
  std::deque<BulkGroup> bulk_groups;
  bool idle() const {
    return open.empty() && groups.empty() && arrivals.empty() && bulk_open.empty() &&
           bulk_groups.empty();
  }
  void clear();
};

}  // namespace gpusim::execute
