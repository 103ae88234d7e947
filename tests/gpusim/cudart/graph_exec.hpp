// An executable graph: nodes in order with their dependencies as indices, cut into branches. Nodes
// of one branch follow each other; branches run on workers of their own, so that kernels of
// different branches may wait for each other.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <vector>

#include "cudart/event.hpp"
#include "cudart/graph.hpp"
#include "cudart/runtime.hpp"

namespace gpusim::cudart {

struct PlanNode {
  std::uint64_t number = 0;  ///< of the graph's node
  OperationPointer operation;
  std::vector<int> dependencies;  ///< smaller than the node's own index
  int branch = 0;
  bool enabled = true;
};

/// Immutable: launches in flight keep the plan that they began with.
struct Plan {
  std::vector<PlanNode> nodes;
  int branches = 0;
};

class GraphExec {
 public:
  std::shared_ptr<const Plan> plan;
  std::unique_ptr<Graph> source;  ///< as it was instantiated: for updates
  unsigned long long flags = 0;
  CompletionPointer last;  ///< launches of one executable graph follow each other
  std::vector<std::uint32_t> timelines;
  std::vector<std::uint64_t> counts;
  std::uint64_t report_number = 0;         ///< for the report; 0: not launched yet
  std::vector<std::uint64_t> allocations;  ///< memory of alloc nodes, by address

  cudaGraphExec_t handle() { return reinterpret_cast<cudaGraphExec_t>(this); }
  /// Replaces the operation of a node, for later launches.
  void replace(std::uint64_t number, OperationPointer operation);
  void enable(std::uint64_t number, bool enabled);
  const PlanNode* find(std::uint64_t number) const;
};

/// Flattens child graphs and cuts branches; fails with cudaErrorInvalidValue for a cycle.
std::shared_ptr<const Plan> make_plan(const Graph& graph);
std::shared_ptr<GraphExec> exec_of(cudaGraphExec_t handle);
cudaGraphExec_t new_exec(const Graph& graph, unsigned long long flags);
void delete_exec(cudaGraphExec_t handle);
/// Puts a launch into a stream, or as a child graph into its capture.
cudaError_t launch(const std::shared_ptr<GraphExec>& exec, const StreamPointer& stream);

}  // namespace gpusim::cudart
