// Turns a graph into a Program: the order of instructions, the streams they run on, the events
// between those, and where every value lies.
#pragma once

#include <functional>

#include "runtime/program/program.hpp"
#include "runtime/program/shard.hpp"

namespace ingot {

/// Bytes of workspace that an op, or an ordered reduction, wants. Asked once for each, in the order
/// of instructions; the caller prepares kernels and knows.
using WorkspaceQuery = std::function<std::int64_t(const Instruction&)>;

/// Places communication, plans memory and streams of `graph`. Offsets in the arena start at 0.
Program schedule(const Graph& graph, const StoreLayout& layout, const PlacementOptions& options,
                 const WorkspaceQuery& workspace);

}  // namespace ingot
