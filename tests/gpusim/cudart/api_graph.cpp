// Graphs as a whole: creation, structure, instantiation, launch.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <fstream>

#include "cudart/api.hpp"
#include "cudart/graph_exec.hpp"
#include "cudart/node_operations.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

/// The usual form of list queries: with no array the count, else up to as many as it holds.
template <typename Handle>
void give_list(const std::vector<Handle>& list, Handle* array, size_t* count) {
  require(count != nullptr, cudaErrorInvalidValue);
  if (array != nullptr) {
    for (size_t i = 0; i < *count; ++i) array[i] = i < list.size() ? list[i] : nullptr;
    *count = std::min(*count, list.size());
    return;
  }
  *count = list.size();
}

std::vector<cudaGraphNode_t> handles(const std::vector<GraphNode*>& nodes) {
  std::vector<cudaGraphNode_t> result;
  for (GraphNode* node : nodes) result.push_back(node->handle());
  return result;
}

cudaError_t instantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long flags) {
  return api("cudaGraphInstantiate", [&] {
    require(exec != nullptr && flags <= 15, cudaErrorInvalidValue);
    require((flags & cudaGraphInstantiateFlagDeviceLaunch) == 0, cudaErrorNotSupported);
    *exec = new_exec(graph_of(graph), flags);
  });
}

}  // namespace

extern "C" {

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned flags) {
  return api("cudaGraphCreate", [&] {
    require(graph != nullptr && flags == 0, cudaErrorInvalidValue);
    *graph = new_graph()->handle();
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return api("cudaGraphDestroy", [&] { delete_graph(&graph_of(graph)); });
}

cudaError_t cudaGraphClone(cudaGraph_t* clone, cudaGraph_t graph) {
  return api("cudaGraphClone", [&] {
    require(clone != nullptr, cudaErrorInvalidValue);
    *clone = graph_of(graph).clone().release()->handle();
  });
}

cudaError_t cudaGraphNodeFindInClone(cudaGraphNode_t* result, cudaGraphNode_t node,
                                     cudaGraph_t clone) {
  return api("cudaGraphNodeFindInClone", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    GraphNode* found = graph_of(clone).by_number(node_of(node).number);
    require(found != nullptr, cudaErrorInvalidValue);
    *result = found->handle();
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* array, size_t* count) {
  return api("cudaGraphGetNodes", [&] {
    std::vector<cudaGraphNode_t> all;
    for (auto& node : graph_of(graph).nodes) all.push_back(node->handle());
    give_list(all, array, count);
  });
}

cudaError_t cudaGraphGetRootNodes(cudaGraph_t graph, cudaGraphNode_t* array, size_t* count) {
  return api("cudaGraphGetRootNodes", [&] {
    std::vector<cudaGraphNode_t> roots;
    for (auto& node : graph_of(graph).nodes) {
      if (node->dependencies.empty()) roots.push_back(node->handle());
    }
    give_list(roots, array, count);
  });
}

cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to,
                              cudaGraphEdgeData* data, size_t* count) {
  return api("cudaGraphGetEdges", [&] {
    require(count != nullptr && (from == nullptr) == (to == nullptr), cudaErrorInvalidValue);
    std::vector<cudaGraphNode_t> sources, targets;
    for (auto& node : graph_of(graph).nodes) {
      for (GraphNode* dependency : node->dependencies) {
        sources.push_back(dependency->handle());
        targets.push_back(node->handle());
      }
    }
    if (from != nullptr && data != nullptr) std::fill(data, data + *count, cudaGraphEdgeData{});
    size_t same = *count;
    give_list(sources, from, count);
    give_list(targets, to, &same);
  });
}

cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t* array,
                                         cudaGraphEdgeData* data, size_t* count) {
  return api("cudaGraphNodeGetDependencies", [&] {
    require(count != nullptr, cudaErrorInvalidValue);
    if (array != nullptr && data != nullptr) std::fill(data, data + *count, cudaGraphEdgeData{});
    give_list(handles(node_of(node).dependencies), array, count);
  });
}

cudaError_t cudaGraphNodeGetDependentNodes(cudaGraphNode_t node, cudaGraphNode_t* array,
                                           cudaGraphEdgeData* data, size_t* count) {
  return api("cudaGraphNodeGetDependentNodes", [&] {
    require(count != nullptr, cudaErrorInvalidValue);
    if (array != nullptr && data != nullptr) std::fill(data, data + *count, cudaGraphEdgeData{});
    GraphNode& target = node_of(node);
    std::vector<cudaGraphNode_t> result;
    for (auto& other : target.graph->nodes) {
      const auto& d = other->dependencies;
      if (std::find(d.begin(), d.end(), &target) != d.end()) result.push_back(other->handle());
    }
    give_list(result, array, count);
  });
}

cudaError_t cudaGraphAddDependencies(cudaGraph_t graph, const cudaGraphNode_t* from,
                                     const cudaGraphNode_t* to, const cudaGraphEdgeData*,
                                     size_t count) {
  return api("cudaGraphAddDependencies", [&] {
    Graph& home = graph_of(graph);
    for (size_t i = 0; i < count; ++i) {
      GraphNode& before = node_of(from[i]);
      GraphNode& after = node_of(to[i]);
      auto& d = after.dependencies;
      require(before.graph == &home && after.graph == &home && &before != &after &&
                  std::find(d.begin(), d.end(), &before) == d.end(),
              cudaErrorInvalidValue);
      d.push_back(&before);
      if (home.order().empty()) {
        d.pop_back();
        fail(cudaErrorInvalidValue);
      }
    }
  });
}

cudaError_t cudaGraphRemoveDependencies(cudaGraph_t graph, const cudaGraphNode_t* from,
                                        const cudaGraphNode_t* to, const cudaGraphEdgeData*,
                                        size_t count) {
  return api("cudaGraphRemoveDependencies", [&] {
    Graph& home = graph_of(graph);
    for (size_t i = 0; i < count; ++i) {
      GraphNode& after = node_of(to[i]);
      require(after.graph == &home, cudaErrorInvalidValue);
      require(std::erase(after.dependencies, &node_of(from[i])) == 1, cudaErrorInvalidValue);
    }
  });
}

cudaError_t cudaGraphDestroyNode(cudaGraphNode_t handle) {
  return api("cudaGraphDestroyNode", [&] {
    GraphNode& node = node_of(handle);
    node.graph->remove(&node);
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph,
                                 unsigned long long flags) {
  return instantiate(exec, graph, flags);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* exec, cudaGraph_t graph,
                                          unsigned long long flags) {
  return instantiate(exec, graph, flags);
}

cudaError_t cudaGraphInstantiateWithParams(cudaGraphExec_t* exec, cudaGraph_t graph,
                                           cudaGraphInstantiateParams* parameters) {
  if (parameters == nullptr) return leave(cudaErrorInvalidValue);
  const cudaError_t error = instantiate(exec, graph, parameters->flags);
  parameters->errNode_out = nullptr;
  parameters->result_out =
      error == cudaSuccess ? cudaGraphInstantiateSuccess : cudaGraphInstantiateError;
  return error;
}

cudaError_t cudaGraphExecGetFlags(cudaGraphExec_t exec, unsigned long long* flags) {
  return api("cudaGraphExecGetFlags", [&] {
    require(flags != nullptr, cudaErrorInvalidValue);
    *flags = exec_of(exec)->flags;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return api("cudaGraphExecDestroy", [&] { delete_exec(exec); });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return api("cudaGraphUpload", [&] {
    exec_of(exec);
    Runtime::instance().stream_or_fail(stream);
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return api_result("cudaGraphLaunch", [&] {
    return launch(exec_of(exec), Runtime::instance().stream_or_fail(stream));
  });
}

cudaError_t cudaGraphDebugDotPrint(cudaGraph_t graph, const char* path, unsigned) {
  return api("cudaGraphDebugDotPrint", [&] {
    require(path != nullptr, cudaErrorInvalidValue);
    std::ofstream file(path);
    file << "digraph {\n";
    for (auto& node : graph_of(graph).nodes) {
      file << "  n" << node->number << " [label=\"" << node->operation->name() << "\"];\n";
      for (GraphNode* dependency : node->dependencies) {
        file << "  n" << dependency->number << " -> n" << node->number << ";\n";
      }
    }
    file << "}\n";
    require(static_cast<bool>(file), cudaErrorOperatingSystem);
  });
}

cudaError_t cudaUserObjectCreate(cudaUserObject_t* result, void* data, cudaHostFn_t destroy,
                                 unsigned count, unsigned) {
  return api("cudaUserObjectCreate", [&] {
    require(result != nullptr && destroy != nullptr && count > 0, cudaErrorInvalidValue);
    auto* object = new UserObject{data, destroy, count};
    *result = reinterpret_cast<cudaUserObject_t>(object);
  });
}

cudaError_t cudaUserObjectRetain(cudaUserObject_t handle, unsigned count) {
  return api("cudaUserObjectRetain", [&] {
    require(handle != nullptr, cudaErrorInvalidValue);
    reinterpret_cast<UserObject*>(handle)->count += count;
  });
}

cudaError_t cudaUserObjectRelease(cudaUserObject_t handle, unsigned count) {
  return api("cudaUserObjectRelease", [&] {
    auto* object = reinterpret_cast<UserObject*>(handle);
    require(object != nullptr && object->count >= count, cudaErrorInvalidValue);
    object->count -= count;
    if (object->count > 0) return;
    object->destroy(object->data);
    delete object;
  });
}

cudaError_t cudaGraphRetainUserObject(cudaGraph_t graph, cudaUserObject_t handle, unsigned count,
                                      unsigned flags) {
  return api("cudaGraphRetainUserObject", [&] {
    auto* object = reinterpret_cast<UserObject*>(handle);
    require(object != nullptr && count > 0, cudaErrorInvalidValue);
    graph_of(graph).objects[object] += count;
    if (flags != cudaGraphUserObjectMove) object->count += count;
  });
}

cudaError_t cudaGraphReleaseUserObject(cudaGraph_t graph, cudaUserObject_t handle, unsigned count) {
  return api("cudaGraphReleaseUserObject", [&] {
    auto* object = reinterpret_cast<UserObject*>(handle);
    auto& objects = graph_of(graph).objects;
    require(objects.count(object) == 1 && objects[object] >= count, cudaErrorInvalidValue);
    objects[object] -= count;
    if (objects[object] == 0) objects.erase(object);
    object->count -= count;
    if (object->count > 0) return;
    object->destroy(object->data);
    delete object;
  });
}

}  // extern "C"
