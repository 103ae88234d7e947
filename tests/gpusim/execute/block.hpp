// One block of threads while it runs: resumable data, so that a worker can leave a block that waits
// for another one and come back. One worker runs a block at a time (and all blocks of a cluster),
// so nothing here needs a lock.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "check/peer_order.hpp"
#include "check/shared_races.hpp"
#include "execute/engine.hpp"
#include "execute/warp.hpp"

namespace gpusim::execute {

struct Launch;
struct Block;

/// What one warp has contributed to the open phase of a barrier.
struct WarpArrival {
  LaneMask lanes = 0;
  LaneMask live_at_first = 0;  ///< lanes that could have come along with the first
  bool aligned = false;        ///< by an instruction that all lanes must execute together
};

/// bar.sync and barrier.*: threads that have arrived in the phase that is open.
struct NamedBarrier {
  std::uint32_t arrived = 0;     ///< threads
  std::uint32_t expected = 0;    ///< threads; 0: all of the block
  std::uint32_t predicates = 0;  ///< bar.red: threads whose predicate is true
  std::uint32_t reducing = 0;    ///< threads that brought a predicate
  std::uint32_t phase = 0;
  std::vector<WarpArrival> warps;
};

/// A bulk copy that completes on an mbarrier of this block.
struct PendingBulk {
  BulkCopy copy;
  Block* target = nullptr;  ///< whose shared memory it fills
  std::uint32_t mbarrier = 0;
};

struct Block {
  const Launch* launch = nullptr;
  std::uint64_t linear = 0;  ///< number in the grid
  Dim3 index;
  std::uint32_t cluster_rank = 0;
  std::vector<Block*> cluster;  ///< all blocks of the cluster, itself too; empty without
  std::uint32_t multiprocessor = 0;

  std::vector<std::unique_ptr<Warp>> warps;
  int warp_count = 0;
  std::uint32_t live_threads = 0;
  int live_warps = 0;
  int next_warp = 0;  ///< whose turn it is

  RowMemory shared;
  std::uint32_t shared_bytes = 0;
  std::vector<std::uint64_t> shared_written;  ///< a bit per byte; empty where not checked
  NamedBarrier barriers[16];
  std::vector<PendingBulk> bulk;
  check::SharedRaces races;
  PeerBlock peers;

  // barrier.cluster
  std::uint32_t cluster_arrived = 0;  ///< threads of this block in the open phase
  std::uint32_t cluster_phase = 0;

  bool done() const { return live_warps == 0; }
};

}  // namespace gpusim::execute
