// One launch of an executable graph, as the operation of a stream.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cudart/graph_exec.hpp"
#include "cudart/operation.hpp"

namespace gpusim::cudart {

class GraphRun : public Operation, public std::enable_shared_from_this<GraphRun> {
 public:
  explicit GraphRun(std::shared_ptr<const Plan> plan);
  Outcome run(const RunContext& context) const override;
  void skip(cudaError_t error) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeGraph; }
  std::string name() const override { return "graph launch"; }

  /// Gives every node its place in the order of the process, behind `before`; returns what is
  /// ordered behind the whole launch. The runtime's lock is held.
  Clock place(GraphExec& exec, const Clock& before, const std::string& stream_name);
  /// Record nodes: their events mean this launch from now on. The lock is held.
  void record_events();

 private:
  void run_branch(int branch, const RunContext& context) const;

  std::shared_ptr<const Plan> plan_;
  std::vector<std::shared_ptr<const OrderedWork>> places_;
  std::vector<CompletionPointer> recorded_;  ///< by node; null for others
  std::vector<CompletionPointer> ends_;      ///< by node
};

}  // namespace gpusim::cudart
