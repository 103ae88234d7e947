// Changing an executable graph between launches.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "cudart/event.hpp"
#include "cudart/graph_exec.hpp"
#include "cudart/node_operations.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

template <typename Make>
cudaError_t change(const char* name, cudaGraphExec_t handle, cudaGraphNode_t node, Make make) {
  return api(name, [&] {
    const std::shared_ptr<GraphExec> exec = exec_of(handle);
    const std::uint64_t number = node_of(node).number;
    const PlanNode* planned = exec->find(number);
    require(planned != nullptr, cudaErrorInvalidValue);
    OperationPointer operation = make();
    require(operation->type() == planned->operation->type(), cudaErrorInvalidValue);
    std::lock_guard lock(Runtime::instance().mutex);
    exec->replace(number, std::move(operation));
  });
}

struct Difference {
  cudaGraphExecUpdateResult result = cudaGraphExecUpdateSuccess;
  GraphNode* node = nullptr;       ///< of the new graph
  GraphNode* from_node = nullptr;  ///< of the old one
};

std::vector<std::size_t> positions(const Graph& graph, const GraphNode& node) {
  std::vector<std::size_t> result;
  for (const GraphNode* dependency : node.dependencies) {
    for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].get() == dependency) result.push_back(i);
    }
  }
  return result;
}

/// Nodes pair up by the order in which they were added, as captures repeat it.
Difference compare(const Graph& old_graph, const Graph& new_graph) {
  if (old_graph.nodes.size() != new_graph.nodes.size()) {
    return {cudaGraphExecUpdateErrorTopologyChanged, nullptr, nullptr};
  }
  for (std::size_t i = 0; i < old_graph.nodes.size(); ++i) {
    GraphNode& a = *old_graph.nodes[i];
    GraphNode& b = *new_graph.nodes[i];
    if (a.operation->type() != b.operation->type()) {
      return {cudaGraphExecUpdateErrorNodeTypeChanged, &b, &a};
    }
    if (positions(old_graph, a) != positions(new_graph, b)) {
      return {cudaGraphExecUpdateErrorTopologyChanged, &b, &a};
    }
    auto* old_child = dynamic_cast<const ChildGraphOperation*>(a.operation.get());
    auto* new_child = dynamic_cast<const ChildGraphOperation*>(b.operation.get());
    if (old_child != nullptr && new_child != nullptr) {
      const Difference inside = compare(old_child->graph(), new_child->graph());
      if (inside.result != cudaGraphExecUpdateSuccess) return inside;
    }
  }
  return {};
}

/// Later calls still name the nodes of the first graph.
void keep_numbers(const Graph& old_graph, Graph& new_graph) {
  for (std::size_t i = 0; i < old_graph.nodes.size(); ++i) {
    new_graph.nodes[i]->number = old_graph.nodes[i]->number;
    auto* old_child = dynamic_cast<const ChildGraphOperation*>(old_graph.nodes[i]->operation.get());
    auto* new_child = dynamic_cast<const ChildGraphOperation*>(new_graph.nodes[i]->operation.get());
    if (old_child != nullptr && new_child != nullptr) {
      keep_numbers(old_child->graph(), new_child->graph());
    }
  }
}

}  // namespace

extern "C" {

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t handle, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* info) {
  return api("cudaGraphExecUpdate", [&] {
    const std::shared_ptr<GraphExec> exec = exec_of(handle);
    Graph& updated = graph_of(graph);
    const Difference difference = compare(*exec->source, updated);
    if (info != nullptr) {
      info->result = difference.result;
      info->errorNode = difference.node != nullptr ? difference.node->handle() : nullptr;
      info->errorFromNode =
          difference.from_node != nullptr ? difference.from_node->handle() : nullptr;
    }
    require(difference.result == cudaGraphExecUpdateSuccess, cudaErrorGraphExecUpdateFailure);
    std::unique_ptr<Graph> copy = updated.clone();
    keep_numbers(*exec->source, *copy);
    std::lock_guard lock(Runtime::instance().mutex);
    exec->plan = make_plan(*copy);
    exec->source = std::move(copy);
  });
}

cudaError_t cudaGraphExecNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                       cudaGraphNodeParams* parameters) {
  return change("cudaGraphExecNodeSetParams", exec, node, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return node_from(*parameters);
  });
}

cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* parameters) {
  return change("cudaGraphExecKernelNodeSetParams", exec, node, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return kernel_node(*parameters);
  });
}

cudaError_t cudaGraphExecMemcpyNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaMemcpy3DParms* parameters) {
  return change("cudaGraphExecMemcpyNodeSetParams", exec, node, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return copy_node(*parameters);
  });
}

cudaError_t cudaGraphExecMemcpyNodeSetParams1D(cudaGraphExec_t exec, cudaGraphNode_t node, void* to,
                                               const void* from, size_t bytes,
                                               cudaMemcpyKind kind) {
  return change("cudaGraphExecMemcpyNodeSetParams1D", exec, node,
                [&] { return copy_node(to, from, bytes, kind); });
}

cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaMemsetParams* parameters) {
  return change("cudaGraphExecMemsetNodeSetParams", exec, node, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return fill_node(*parameters);
  });
}

cudaError_t cudaGraphExecHostNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                           const cudaHostNodeParams* parameters) {
  return change("cudaGraphExecHostNodeSetParams", exec, node, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return host_node(*parameters);
  });
}

cudaError_t cudaGraphExecEventRecordNodeSetEvent(cudaGraphExec_t exec, cudaGraphNode_t node,
                                                 cudaEvent_t event) {
  return change("cudaGraphExecEventRecordNodeSetEvent", exec, node,
                [&] { return std::make_shared<EventRecordOperation>(event_of(event)); });
}

cudaError_t cudaGraphExecEventWaitNodeSetEvent(cudaGraphExec_t exec, cudaGraphNode_t node,
                                               cudaEvent_t event) {
  return change("cudaGraphExecEventWaitNodeSetEvent", exec, node,
                [&] { return std::make_shared<EventWaitOperation>(event_of(event)); });
}

cudaError_t cudaGraphNodeSetEnabled(cudaGraphExec_t handle, cudaGraphNode_t node,
                                    unsigned enabled) {
  return api("cudaGraphNodeSetEnabled", [&] {
    const std::shared_ptr<GraphExec> exec = exec_of(handle);
    const std::uint64_t number = node_of(node).number;
    require(exec->find(number) != nullptr, cudaErrorInvalidValue);
    std::lock_guard lock(Runtime::instance().mutex);
    exec->enable(number, enabled != 0);
  });
}

cudaError_t cudaGraphNodeGetEnabled(cudaGraphExec_t handle, cudaGraphNode_t node,
                                    unsigned* enabled) {
  return api("cudaGraphNodeGetEnabled", [&] {
    const PlanNode* planned = exec_of(handle)->find(node_of(node).number);
    require(planned != nullptr && enabled != nullptr, cudaErrorInvalidValue);
    *enabled = planned->enabled ? 1 : 0;
  });
}

}  // extern "C"
