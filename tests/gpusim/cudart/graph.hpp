// A graph as the program builds it: nodes that hold operations, and their dependencies.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cudart/operation.hpp"

namespace gpusim::cudart {

class Graph;

struct GraphNode {
  Graph* graph = nullptr;
  std::uint64_t number = 0;  ///< stays the same in clones and executable graphs
  OperationPointer operation;
  std::vector<GraphNode*> dependencies;
  std::map<int, cudaLaunchAttributeValue> attributes;

  cudaGraphNode_t handle() { return reinterpret_cast<cudaGraphNode_t>(this); }
};

struct UserObject {
  void* data = nullptr;
  cudaHostFn_t destroy = nullptr;
  unsigned count = 0;
};

class Graph {
 public:
  Graph();
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  GraphNode* add(OperationPointer operation, const std::vector<GraphNode*>& dependencies);
  void remove(GraphNode* node);
  /// A deep copy; nodes keep their numbers.
  std::unique_ptr<Graph> clone() const;
  /// Every node behind its dependencies; insertion order otherwise. Empty where there is a cycle.
  std::vector<GraphNode*> order() const;
  GraphNode* by_number(std::uint64_t number) const;

  cudaGraph_t handle() { return reinterpret_cast<cudaGraph_t>(this); }

  std::vector<std::unique_ptr<GraphNode>> nodes;
  std::map<UserObject*, unsigned> objects;
};

/// Graphs that a program holds.
Graph* new_graph();
void delete_graph(Graph* graph);
/// Handle -> object; fails with cudaErrorInvalidValue for an unknown one.
Graph& graph_of(cudaGraph_t handle);
GraphNode& node_of(cudaGraphNode_t handle);

/// A node that is a graph.
class ChildGraphOperation : public Operation {
 public:
  explicit ChildGraphOperation(std::shared_ptr<Graph> graph) : graph_(std::move(graph)) {}
  Outcome run(const RunContext&) const override { return {}; }  // flattened at instantiation
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeGraph; }
  std::string name() const override { return "child graph"; }
  Graph& graph() const { return *graph_; }

 private:
  std::shared_ptr<Graph> graph_;
};

}  // namespace gpusim::cudart
