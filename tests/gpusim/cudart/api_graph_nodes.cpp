// Nodes of graphs: adding, reading and changing them.
#include <cuda_runtime_api.h>

#include <cstring>

#include "cudart/api.hpp"
#include "cudart/copy.hpp"
#include "cudart/event.hpp"
#include "cudart/launch.hpp"
#include "cudart/load.hpp"
#include "cudart/node_operations.hpp"
#include "cudart/pool.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

/// Adds a node that `make` describes; `make` runs after the handles were checked.
template <typename Make>
cudaError_t add(const char* name, cudaGraphNode_t* result, cudaGraph_t graph,
                const cudaGraphNode_t* dependencies, size_t count, Make make) {
  return api(name, [&] {
    require(result != nullptr && (count == 0 || dependencies != nullptr), cudaErrorInvalidValue);
    Graph& home = graph_of(graph);
    std::vector<GraphNode*> before;
    for (size_t i = 0; i < count; ++i) {
      before.push_back(&node_of(dependencies[i]));
      require(before.back()->graph == &home, cudaErrorInvalidValue);
    }
    *result = home.add(make(), before)->handle();
  });
}

/// Replaces a node's operation with one of the same type.
template <typename Make>
cudaError_t change(const char* name, cudaGraphNode_t handle, Make make) {
  return api(name, [&] {
    GraphNode& node = node_of(handle);
    OperationPointer operation = make();
    require(operation->type() == node.operation->type(), cudaErrorInvalidValue);
    node.operation = std::move(operation);
  });
}

template <typename Parameters>
const Parameters& given(const Parameters* parameters) {
  require(parameters != nullptr, cudaErrorInvalidValue);
  return *parameters;
}

cudaEvent_t handle_of(const EventPointer& event) {
  return reinterpret_cast<cudaEvent_t>(event.get());
}

}  // namespace

extern "C" {

cudaError_t cudaGraphAddNode(cudaGraphNode_t* result, cudaGraph_t graph,
                             const cudaGraphNode_t* dependencies, const cudaGraphEdgeData*,
                             size_t count, cudaGraphNodeParams* parameters) {
  return add("cudaGraphAddNode", result, graph, dependencies, count, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return node_from(*parameters);
  });
}

cudaError_t cudaGraphNodeSetParams(cudaGraphNode_t node, cudaGraphNodeParams* parameters) {
  return change("cudaGraphNodeSetParams", node, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return node_from(*parameters);
  });
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  return api("cudaGraphNodeGetType", [&] {
    require(type != nullptr, cudaErrorInvalidValue);
    *type = node_of(node).operation->type();
  });
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                   const cudaGraphNode_t* dependencies, size_t count,
                                   const cudaKernelNodeParams* parameters) {
  return add("cudaGraphAddKernelNode", result, graph, dependencies, count,
             [&] { return kernel_node(given(parameters)); });
}

cudaError_t cudaGraphKernelNodeSetParams(cudaGraphNode_t node,
                                         const cudaKernelNodeParams* parameters) {
  return change("cudaGraphKernelNodeSetParams", node,
                [&] { return kernel_node(given(parameters)); });
}

cudaError_t cudaGraphKernelNodeGetParams(cudaGraphNode_t node, cudaKernelNodeParams* parameters) {
  return api("cudaGraphKernelNodeGetParams", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    const auto& kernel = as<KernelOperation>(node_of(node).operation);
    *parameters = {};
    parameters->func =
        const_cast<void*>(kernel.kernel->host != nullptr ? kernel.kernel->host : kernel.kernel);
    parameters->gridDim = kernel.shape.grid;
    parameters->blockDim = kernel.shape.block;
    parameters->sharedMemBytes = static_cast<unsigned>(kernel.shape.dynamic_shared);
    // Valid while the node keeps these parameters, as the real library says.
    parameters->kernelParams = const_cast<void**>(kernel.argument_pointers.data());
  });
}

cudaError_t cudaGraphKernelNodeSetAttribute(cudaGraphNode_t handle, cudaLaunchAttributeID id,
                                            const cudaLaunchAttributeValue* value) {
  return api("cudaGraphKernelNodeSetAttribute", [&] {
    GraphNode& node = node_of(handle);
    node.operation = with_attribute(node.operation, id, given(value));
    node.attributes[id] = *value;
  });
}

cudaError_t cudaGraphKernelNodeGetAttribute(cudaGraphNode_t handle, cudaLaunchAttributeID id,
                                            cudaLaunchAttributeValue* value) {
  return api("cudaGraphKernelNodeGetAttribute", [&] {
    require(value != nullptr, cudaErrorInvalidValue);
    GraphNode& node = node_of(handle);
    const auto& kernel = as<KernelOperation>(node.operation);
    std::memset(value, 0, sizeof(*value));
    if (node.attributes.count(id) == 1) *value = node.attributes[id];
    if (id == cudaLaunchAttributeCooperative) value->cooperative = kernel.shape.cooperative;
  });
}

cudaError_t cudaGraphKernelNodeCopyAttributes(cudaGraphNode_t to, cudaGraphNode_t from) {
  return api("cudaGraphKernelNodeCopyAttributes", [&] {
    GraphNode& target = node_of(to);
    for (const auto& [id, value] : node_of(from).attributes) {
      target.operation =
          with_attribute(target.operation, static_cast<cudaLaunchAttributeID>(id), value);
      target.attributes[id] = value;
    }
  });
}

cudaError_t cudaGraphAddMemcpyNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                   const cudaGraphNode_t* dependencies, size_t count,
                                   const cudaMemcpy3DParms* parameters) {
  return add("cudaGraphAddMemcpyNode", result, graph, dependencies, count,
             [&] { return copy_node(given(parameters)); });
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* result, cudaGraph_t graph,
                                     const cudaGraphNode_t* dependencies, size_t count, void* to,
                                     const void* from, size_t bytes, cudaMemcpyKind kind) {
  return add("cudaGraphAddMemcpyNode1D", result, graph, dependencies, count,
             [&] { return copy_node(to, from, bytes, kind); });
}

cudaError_t cudaGraphAddMemcpyNodeToSymbol(cudaGraphNode_t* result, cudaGraph_t graph,
                                           const cudaGraphNode_t* dependencies, size_t count,
                                           const void* symbol, const void* from, size_t bytes,
                                           size_t offset, cudaMemcpyKind kind) {
  void* address = nullptr;
  const cudaError_t error = cudaGetSymbolAddress(&address, symbol);
  if (error != cudaSuccess) return error;
  return cudaGraphAddMemcpyNode1D(result, graph, dependencies, count,
                                  static_cast<char*>(address) + offset, from, bytes, kind);
}

cudaError_t cudaGraphAddMemcpyNodeFromSymbol(cudaGraphNode_t* result, cudaGraph_t graph,
                                             const cudaGraphNode_t* dependencies, size_t count,
                                             void* to, const void* symbol, size_t bytes,
                                             size_t offset, cudaMemcpyKind kind) {
  void* address = nullptr;
  const cudaError_t error = cudaGetSymbolAddress(&address, symbol);
  if (error != cudaSuccess) return error;
  return cudaGraphAddMemcpyNode1D(result, graph, dependencies, count, to,
                                  static_cast<char*>(address) + offset, bytes, kind);
}

cudaError_t cudaGraphMemcpyNodeSetParams(cudaGraphNode_t node,
                                         const cudaMemcpy3DParms* parameters) {
  return change("cudaGraphMemcpyNodeSetParams", node, [&] { return copy_node(given(parameters)); });
}

cudaError_t cudaGraphMemcpyNodeSetParams1D(cudaGraphNode_t node, void* to, const void* from,
                                           size_t bytes, cudaMemcpyKind kind) {
  return change("cudaGraphMemcpyNodeSetParams1D", node,
                [&] { return copy_node(to, from, bytes, kind); });
}

cudaError_t cudaGraphMemcpyNodeGetParams(cudaGraphNode_t node, cudaMemcpy3DParms* parameters) {
  return api("cudaGraphMemcpyNodeGetParams", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    *parameters = as<CopyOperation>(node_of(node).operation).parameters();
  });
}

cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                   const cudaGraphNode_t* dependencies, size_t count,
                                   const cudaMemsetParams* parameters) {
  return add("cudaGraphAddMemsetNode", result, graph, dependencies, count,
             [&] { return fill_node(given(parameters)); });
}

cudaError_t cudaGraphMemsetNodeSetParams(cudaGraphNode_t node, const cudaMemsetParams* parameters) {
  return change("cudaGraphMemsetNodeSetParams", node, [&] { return fill_node(given(parameters)); });
}

cudaError_t cudaGraphMemsetNodeGetParams(cudaGraphNode_t node, cudaMemsetParams* parameters) {
  return api("cudaGraphMemsetNodeGetParams", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    *parameters = as<FillOperation>(node_of(node).operation).parameters();
  });
}

cudaError_t cudaGraphAddHostNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                 const cudaGraphNode_t* dependencies, size_t count,
                                 const cudaHostNodeParams* parameters) {
  return add("cudaGraphAddHostNode", result, graph, dependencies, count,
             [&] { return host_node(given(parameters)); });
}

cudaError_t cudaGraphHostNodeSetParams(cudaGraphNode_t node, const cudaHostNodeParams* parameters) {
  return change("cudaGraphHostNodeSetParams", node, [&] { return host_node(given(parameters)); });
}

cudaError_t cudaGraphHostNodeGetParams(cudaGraphNode_t node, cudaHostNodeParams* parameters) {
  return api("cudaGraphHostNodeGetParams", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    *parameters = as<HostOperation>(node_of(node).operation).parameters();
  });
}

cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                       const cudaGraphNode_t* dependencies, size_t count,
                                       cudaGraph_t child) {
  return add("cudaGraphAddChildGraphNode", result, graph, dependencies, count, [&] {
    require(child != graph, cudaErrorInvalidValue);
    return child_node(graph_of(child));
  });
}

cudaError_t cudaGraphChildGraphNodeGetGraph(cudaGraphNode_t node, cudaGraph_t* graph) {
  return api("cudaGraphChildGraphNodeGetGraph", [&] {
    require(graph != nullptr, cudaErrorInvalidValue);
    *graph = as<ChildGraphOperation>(node_of(node).operation).graph().handle();
  });
}

cudaError_t cudaGraphAddEmptyNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                  const cudaGraphNode_t* dependencies, size_t count) {
  return add("cudaGraphAddEmptyNode", result, graph, dependencies, count,
             [] { return std::make_shared<EmptyOperation>(); });
}

cudaError_t cudaGraphAddEventRecordNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                        const cudaGraphNode_t* dependencies, size_t count,
                                        cudaEvent_t event) {
  return add("cudaGraphAddEventRecordNode", result, graph, dependencies, count,
             [&] { return std::make_shared<EventRecordOperation>(event_of(event)); });
}

cudaError_t cudaGraphAddEventWaitNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                      const cudaGraphNode_t* dependencies, size_t count,
                                      cudaEvent_t event) {
  return add("cudaGraphAddEventWaitNode", result, graph, dependencies, count,
             [&] { return std::make_shared<EventWaitOperation>(event_of(event)); });
}

cudaError_t cudaGraphEventRecordNodeGetEvent(cudaGraphNode_t node, cudaEvent_t* event) {
  return api("cudaGraphEventRecordNodeGetEvent", [&] {
    require(event != nullptr, cudaErrorInvalidValue);
    *event = handle_of(as<EventRecordOperation>(node_of(node).operation).event());
  });
}

cudaError_t cudaGraphEventWaitNodeGetEvent(cudaGraphNode_t node, cudaEvent_t* event) {
  return api("cudaGraphEventWaitNodeGetEvent", [&] {
    require(event != nullptr, cudaErrorInvalidValue);
    *event = handle_of(as<EventWaitOperation>(node_of(node).operation).event());
  });
}

cudaError_t cudaGraphEventRecordNodeSetEvent(cudaGraphNode_t node, cudaEvent_t event) {
  return change("cudaGraphEventRecordNodeSetEvent", node,
                [&] { return std::make_shared<EventRecordOperation>(event_of(event)); });
}

cudaError_t cudaGraphEventWaitNodeSetEvent(cudaGraphNode_t node, cudaEvent_t event) {
  return change("cudaGraphEventWaitNodeSetEvent", node,
                [&] { return std::make_shared<EventWaitOperation>(event_of(event)); });
}

cudaError_t cudaGraphAddMemAllocNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                     const cudaGraphNode_t* dependencies, size_t count,
                                     cudaMemAllocNodeParams* parameters) {
  return add("cudaGraphAddMemAllocNode", result, graph, dependencies, count, [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    return allocate_node(parameters->poolProps, parameters->bytesize, &parameters->dptr);
  });
}

cudaError_t cudaGraphMemAllocNodeGetParams(cudaGraphNode_t node,
                                           cudaMemAllocNodeParams* parameters) {
  return api("cudaGraphMemAllocNodeGetParams", [&] {
    require(parameters != nullptr, cudaErrorInvalidValue);
    const auto& allocation = as<AllocateOperation>(node_of(node).operation);
    *parameters = {};
    parameters->poolProps = allocation.properties();
    parameters->bytesize = allocation.block()->bytes;
    parameters->dptr = reinterpret_cast<void*>(allocation.block()->begin);
  });
}

cudaError_t cudaGraphAddMemFreeNode(cudaGraphNode_t* result, cudaGraph_t graph,
                                    const cudaGraphNode_t* dependencies, size_t count,
                                    void* pointer) {
  return add("cudaGraphAddMemFreeNode", result, graph, dependencies, count,
             [&] { return free_node(pointer); });
}

cudaError_t cudaGraphMemFreeNodeGetParams(cudaGraphNode_t node, void* pointer) {
  return api("cudaGraphMemFreeNodeGetParams", [&] {
    require(pointer != nullptr, cudaErrorInvalidValue);
    *static_cast<void**>(pointer) =
        reinterpret_cast<void*>(as<FreeOperation>(node_of(node).operation).block()->begin);
  });
}

}  // extern "C"
