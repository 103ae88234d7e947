// Memory of activations: which values share memory, how long each lives, and the offset of each in
// one arena.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/program/graph.hpp"

namespace ingot {

struct MemoryPlan {
  std::vector<std::int64_t> offsets;            ///< per value; -1 for values outside the arena
  std::vector<std::int64_t> workspace_offsets;  ///< per node
  std::int64_t arena_bytes = 0;
  std::int64_t peak_live_bytes = 0;  ///< most that is alive at once: a lower bound of arena_bytes
};

/// Nodes run in their order on one stream. Values that an op computes in place, or accumulates
/// into, share the memory of the value they replace. Source of the packing: greedy by size, as in
/// Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020.
MemoryPlan plan_memory(const Graph& graph, const std::vector<std::int64_t>& workspace_bytes);

}  // namespace ingot
