// Memory of activations, workspaces and what travels between ranks: which values share memory, how
// long each block lives, and the offset of each in one arena.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/program/draft.hpp"
#include "runtime/program/synchronise.hpp"

namespace ingot {

/// Which values of a graph share memory: values that an op computes in place, or accumulates into,
/// take over the block of the value they replace.
struct ValueBlocks {
  std::vector<int> block_of;              ///< per value; -1 outside the arena
  std::vector<std::int64_t> block_bytes;  ///< the largest value of each
};

/// Nodes run in their order.
ValueBlocks assign_blocks(const Graph& graph);

struct MemoryPlan {
  std::vector<std::int64_t> offsets;  ///< per block of the draft
  std::int64_t arena_bytes = 0;
  std::int64_t peak_live_bytes = 0;  ///< most that is alive at once in the order of issue
};

/// A block lives from the first instruction that touches it to the last. Two may share memory where
/// every instruction that touches one is known to be done when the first of the other begins.
/// Source of the packing: greedy by size, as in Pisarchyk and Lee, "Efficient Memory Management for
/// Deep Neural Net Inference", 2020.
MemoryPlan plan_memory(const Draft& draft, const Synchronisation& order);

}  // namespace ingot
