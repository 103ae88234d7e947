// Parameters of graph nodes <-> operations.
#pragma once

#include <cuda_runtime_api.h>

#include "cudart/graph.hpp"
#include "cudart/operation.hpp"
#include "cudart/runtime.hpp"

namespace gpusim::cudart {

OperationPointer kernel_node(const cudaKernelNodeParams& parameters);
OperationPointer kernel_node(const cudaKernelNodeParamsV2& parameters);
/// A copy or fill of nothing becomes an empty node.
OperationPointer copy_node(const cudaMemcpy3DParms& parameters);
OperationPointer copy_node(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
OperationPointer fill_node(const cudaMemsetParams& parameters);
OperationPointer host_node(const cudaHostNodeParams& parameters);
OperationPointer child_node(const Graph& graph);
/// Allocates at once: the address is known when the node is added. `address` gets it.
OperationPointer allocate_node(const cudaMemPoolProps& properties, std::size_t bytes,
                               void** address);
OperationPointer free_node(void* pointer);
/// From the union of cudaGraphAddNode; alloc nodes store their address in it.
OperationPointer node_from(cudaGraphNodeParams& parameters);
/// A kernel's operation with an attribute of its node applied.
OperationPointer with_attribute(const OperationPointer& operation, cudaLaunchAttributeID id,
                                const cudaLaunchAttributeValue& value);

/// The operation as T; fails with cudaErrorInvalidValue where the node is of another kind.
template <typename T>
const T& as(const OperationPointer& operation) {
  auto* result = dynamic_cast<const T*>(operation.get());
  if (result == nullptr) fail(cudaErrorInvalidValue);
  return *result;
}

}  // namespace gpusim::cudart
