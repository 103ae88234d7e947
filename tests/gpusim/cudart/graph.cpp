// The graph as data.
#include "cudart/graph.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_set>

#include "cudart/runtime.hpp"

namespace gpusim::cudart {
namespace {

struct Known {
  std::mutex mutex;
  std::unordered_set<const void*> graphs, nodes;
};

/// Every graph and node that lives, so that a stale handle is an error and not a crash.
Known& known() {
  static Known* all = new Known;
  return *all;
}

std::atomic<std::uint64_t> nodes_made{0};

}  // namespace

Graph::Graph() {
  std::lock_guard lock(known().mutex);
  known().graphs.insert(this);
}

Graph::~Graph() {
  {
    std::lock_guard lock(known().mutex);
    known().graphs.erase(this);
    for (auto& node : nodes) known().nodes.erase(node.get());
  }
  for (auto& [object, count] : objects) {
    object->count -= std::min(object->count, count);
    if (object->count > 0) continue;
    object->destroy(object->data);
    delete object;
  }
}

GraphNode* Graph::add(OperationPointer operation, const std::vector<GraphNode*>& dependencies) {
  auto node = std::make_unique<GraphNode>();
  node->graph = this;
  node->number = ++nodes_made;
  node->operation = std::move(operation);
  node->dependencies = dependencies;
  {
    std::lock_guard lock(known().mutex);
    known().nodes.insert(node.get());
  }
  nodes.push_back(std::move(node));
  return nodes.back().get();
}

void Graph::remove(GraphNode* node) {
  for (auto& other : nodes) std::erase(other->dependencies, node);
  {
    std::lock_guard lock(known().mutex);
    known().nodes.erase(node);
  }
  std::erase_if(nodes, [node](const auto& owned) { return owned.get() == node; });
}

std::unique_ptr<Graph> Graph::clone() const {
  auto copy = std::make_unique<Graph>();
  std::map<const GraphNode*, GraphNode*> twins;
  for (const auto& node : nodes) {
    OperationPointer operation = node->operation;
    if (auto child = std::dynamic_pointer_cast<const ChildGraphOperation>(operation)) {
      operation =
          std::make_shared<ChildGraphOperation>(std::shared_ptr<Graph>(child->graph().clone()));
    }
    GraphNode* twin = copy->add(operation, {});
    twin->number = node->number;
    twin->attributes = node->attributes;
    twins[node.get()] = twin;
  }
  for (const auto& node : nodes) {
    for (GraphNode* dependency : node->dependencies) {
      twins[node.get()]->dependencies.push_back(twins[dependency]);
    }
  }
  copy->objects = objects;
  for (auto& [object, count] : copy->objects) object->count += count;
  return copy;
}

std::vector<GraphNode*> Graph::order() const {
  std::vector<GraphNode*> result;
  std::unordered_set<const GraphNode*> placed;
  std::map<const GraphNode*, std::size_t> missing;
  std::map<const GraphNode*, std::vector<GraphNode*>> followers;
  std::vector<GraphNode*> ready;
  for (const auto& node : nodes) {
    missing[node.get()] = node->dependencies.size();
    for (GraphNode* dependency : node->dependencies) followers[dependency].push_back(node.get());
    if (node->dependencies.empty()) ready.push_back(node.get());
  }
  for (std::size_t i = 0; i < ready.size(); ++i) {
    result.push_back(ready[i]);
    for (GraphNode* follower : followers[ready[i]]) {
      if (--missing[follower] == 0) ready.push_back(follower);
    }
  }
  if (result.size() != nodes.size()) result.clear();
  return result;
}

GraphNode* Graph::by_number(std::uint64_t number) const {
  for (const auto& node : nodes) {
    if (node->number == number) return node.get();
  }
  return nullptr;
}

Graph* new_graph() {
  return new Graph;
}

void delete_graph(Graph* graph) {
  delete graph;
}

Graph& graph_of(cudaGraph_t handle) {
  std::lock_guard lock(known().mutex);
  require(known().graphs.count(handle) == 1, cudaErrorInvalidValue);
  return *reinterpret_cast<Graph*>(handle);
}

GraphNode& node_of(cudaGraphNode_t handle) {
  std::lock_guard lock(known().mutex);
  require(known().nodes.count(handle) == 1, cudaErrorInvalidValue);
  return *reinterpret_cast<GraphNode*>(handle);
}

}  // namespace gpusim::cudart
