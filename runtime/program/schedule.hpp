// Turns a graph into a Program: the order of instructions, the streams they run on, the events
// between those, and where every value lies.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "runtime/program/program.hpp"

namespace ingot {

/// Bytes of workspace that a node's kernel wants; the caller prepares kernels and knows.
using WorkspaceQuery = std::function<std::int64_t(const GraphNode&)>;

struct ScheduleOptions {
  std::string name;
  /// All-reduce each bucket's gradients once complete, on the communication stream.
  bool reduce_gradients = false;
  /// Values reduced (summed) over ranks as soon as their last writer is done: the step's sums.
  /// Byte range of a kBuffer value: name -> (offset, element count, type).
  struct SmallReduction {
    std::string buffer;
    std::int64_t offset = 0;
    TensorType type;
    std::string after_op;  ///< the op after whose last instruction the value is complete
  };
  std::vector<SmallReduction> small_reductions = {};
};

/// Plans memory and streams of `graph`. Offsets in the arena start at 0.
Program schedule(const Graph& graph, const StoreLayout& layout, const ScheduleOptions& options,
                 const WorkspaceQuery& workspace);

}  // namespace ingot
