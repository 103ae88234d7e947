// How nodes are made from the parameters that programs give.
#include "cudart/node_operations.hpp"

#include "cudart/copy.hpp"
#include "cudart/event.hpp"
#include "cudart/launch.hpp"
#include "cudart/pool.hpp"

namespace gpusim::cudart {
namespace {

OperationPointer or_empty(OperationPointer operation) {
  return operation != nullptr ? operation : std::make_shared<EmptyOperation>();
}

template <typename Parameters>
OperationPointer kernel_from(const Parameters& p) {
  LaunchShape shape;
  shape.grid = dim3(p.gridDim.x, p.gridDim.y, p.gridDim.z);
  shape.block = dim3(p.blockDim.x, p.blockDim.y, p.blockDim.z);
  shape.dynamic_shared = p.sharedMemBytes;
  return make_kernel(kernel_or_fail(p.func), Runtime::instance().current().physical, shape,
                     p.kernelParams, p.extra);
}

}  // namespace

OperationPointer kernel_node(const cudaKernelNodeParams& p) {
  return kernel_from(p);
}
OperationPointer kernel_node(const cudaKernelNodeParamsV2& p) {
  return kernel_from(p);
}

OperationPointer copy_node(const cudaMemcpy3DParms& p) {
  return or_empty(make_copy("copy node", p));
}

OperationPointer copy_node(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return or_empty(
      make_copy("copy node", {to, bytes, bytes}, {from, bytes, bytes}, {bytes, 1, 1}, kind));
}

OperationPointer fill_node(const cudaMemsetParams& p) {
  return or_empty(make_fill("memset node", p));
}

OperationPointer host_node(const cudaHostNodeParams& p) {
  require(p.fn != nullptr, cudaErrorInvalidValue);
  return std::make_shared<HostOperation>(p.fn, p.userData);
}

OperationPointer child_node(const Graph& graph) {
  return std::make_shared<ChildGraphOperation>(std::shared_ptr<Graph>(graph.clone()));
}

OperationPointer allocate_node(const cudaMemPoolProps& properties, std::size_t bytes,
                               void** address) {
  require(bytes > 0 && properties.location.type == cudaMemLocationTypeDevice,
          cudaErrorInvalidValue);
  Device& device = Runtime::instance().device(properties.location.id);
  Allocation* block = allocate_pooled(default_pool(device), bytes, "allocation node");
  // Lives as long as some graph may be launched again, which only the end of the process tells.
  block->internal = true;
  *address = reinterpret_cast<void*>(block->begin);
  return std::make_shared<AllocateOperation>(block, properties);
}

OperationPointer free_node(void* pointer) {
  Allocation* block = AddressSpace::instance().find(reinterpret_cast<std::uint64_t>(pointer));
  require(
      block != nullptr && block->live && block->begin == reinterpret_cast<std::uint64_t>(pointer),
      cudaErrorInvalidValue);
  return std::make_shared<FreeOperation>(block, true);
}

OperationPointer node_from(cudaGraphNodeParams& p) {
  switch (p.type) {
    case cudaGraphNodeTypeKernel:
      return kernel_node(p.kernel);
    case cudaGraphNodeTypeMemcpy:
      return copy_node(p.memcpy.copyParams);
    case cudaGraphNodeTypeMemset: {
      cudaMemsetParams fill = {};
      fill.dst = p.memset.dst;
      fill.pitch = p.memset.pitch;
      fill.value = p.memset.value;
      fill.elementSize = p.memset.elementSize;
      fill.width = p.memset.width;
      fill.height = p.memset.height;
      return fill_node(fill);
    }
    case cudaGraphNodeTypeHost:
      return host_node({p.host.fn, p.host.userData});
    case cudaGraphNodeTypeGraph:
      return child_node(graph_of(p.graph.graph));
    case cudaGraphNodeTypeEmpty:
      return std::make_shared<EmptyOperation>();
    case cudaGraphNodeTypeWaitEvent:
      return std::make_shared<EventWaitOperation>(event_of(p.eventWait.event));
    case cudaGraphNodeTypeEventRecord:
      return std::make_shared<EventRecordOperation>(event_of(p.eventRecord.event));
    case cudaGraphNodeTypeMemAlloc:
      return allocate_node(p.alloc.poolProps, p.alloc.bytesize, &p.alloc.dptr);
    case cudaGraphNodeTypeMemFree:
      return free_node(p.free.dptr);
    default:
      explain("graph nodes of type " + std::to_string(p.type) +
              " are not supported by the simulator");
      fail(cudaErrorNotSupported);
  }
}

OperationPointer with_attribute(const OperationPointer& operation, cudaLaunchAttributeID id,
                                const cudaLaunchAttributeValue& value) {
  const auto& kernel = as<KernelOperation>(operation);
  LaunchShape shape = kernel.shape;
  if (id == cudaLaunchAttributeCooperative) shape.cooperative = value.cooperative != 0;
  if (id == cudaLaunchAttributeClusterDimension) {
    shape.cluster = dim3(value.clusterDim.x, value.clusterDim.y, value.clusterDim.z);
  }
  auto pointers = kernel.argument_pointers;
  return make_kernel(*kernel.kernel, kernel.device, shape, pointers.data());
}

}  // namespace gpusim::cudart
