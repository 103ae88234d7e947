// Allocation and what is known about pointers.
#include <cuda_runtime_api.h>

#include <atomic>

#include "cudart/api.hpp"
#include "cudart/copy.hpp"
#include "cudart/pool.hpp"
#include "memory/address_space.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

constexpr size_t kPitchAlignment = 512;

Runtime& runtime() {
  return Runtime::instance();
}

std::uint64_t address_of(const void* pointer) {
  return reinterpret_cast<std::uint64_t>(pointer);
}

void* allocate(const char* call, size_t bytes, MemoryKind kind) {
  static std::atomic<std::uint64_t> made{0};
  Device& device = runtime().current();
  Allocation* block = AddressSpace::instance().allocate(
      bytes, kind, device.physical, std::string(call) + " #" + std::to_string(++made));
  if (block == nullptr) {
    explain(std::string(call) + " of " + std::to_string(bytes) + " bytes: device " +
            std::to_string(device.number) + " has " +
            std::to_string(AddressSpace::instance().used(device.physical)) + " of " +
            std::to_string(device.model->memory_bytes) + " bytes in use");
    fail(cudaErrorMemoryAllocation);
  }
  return reinterpret_cast<void*>(block->begin);
}

/// The live block that begins at `pointer`; reports what is wrong with any other.
Allocation& block_to_free(const char* call, const void* pointer, cudaError_t error) {
  AddressSpace& space = AddressSpace::instance();
  Allocation* block = space.find(address_of(pointer));
  const bool valid =
      block != nullptr && block->live && block->begin == address_of(pointer) && !block->internal;
  if (!valid) {
    report_problem("invalid free",
                   std::string(call) + " of " + space.describe(address_of(pointer)));
    fail(error);
  }
  return *block;
}

void release(Allocation& block) {
  StreamOrder::instance().forget(block.begin, block.bytes);
  AddressSpace::instance().release(block);
}

/// Freeing waits for all work: on every device, since a peer may use the memory.
void wait_for_all() {
  for (auto& device : runtime().devices) {
    if (device->used) wait_for(*device);
  }
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return unsafe_api("cudaMalloc", [&] {
    require(pointer != nullptr, cudaErrorInvalidValue);
    *pointer = nullptr;
    if (bytes == 0) return;
    *pointer = allocate("cudaMalloc", bytes, MemoryKind::kDevice);
  });
}

cudaError_t cudaMallocPitch(void** pointer, size_t* pitch, size_t width, size_t height) {
  return unsafe_api("cudaMallocPitch", [&] {
    require(pointer != nullptr && pitch != nullptr, cudaErrorInvalidValue);
    *pointer = nullptr;
    *pitch = (width + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
    if (width == 0 || height == 0) return;
    *pointer = allocate("cudaMallocPitch", *pitch * height, MemoryKind::kDevice);
  });
}

cudaError_t cudaMalloc3D(cudaPitchedPtr* result, cudaExtent extent) {
  return unsafe_api("cudaMalloc3D", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    *result = {};
    result->pitch = (extent.width + kPitchAlignment - 1) / kPitchAlignment * kPitchAlignment;
    result->xsize = extent.width;
    result->ysize = extent.height;
    const size_t bytes = result->pitch * extent.height * extent.depth;
    if (bytes > 0) result->ptr = allocate("cudaMalloc3D", bytes, MemoryKind::kDevice);
  });
}

cudaError_t cudaFree(void* pointer) {
  return unsafe_api("cudaFree", [&] {
    runtime().current();
    if (pointer == nullptr) return;
    Allocation& block = block_to_free("cudaFree", pointer, cudaErrorInvalidValue);
    require(block.kind == MemoryKind::kDevice || block.kind == MemoryKind::kManaged,
            cudaErrorInvalidValue);
    wait_for_all();
    forget_pooled(block);
    release(block);
    require(runtime().sticky() == cudaSuccess, runtime().sticky());
  });
}

cudaError_t cudaMallocManaged(void** pointer, size_t bytes, unsigned flags) {
  return unsafe_api("cudaMallocManaged", [&] {
    require(pointer != nullptr && bytes > 0 &&
                (flags == cudaMemAttachGlobal || flags == cudaMemAttachHost),
            cudaErrorInvalidValue);
    *pointer = allocate("cudaMallocManaged", bytes, MemoryKind::kManaged);
  });
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  return unsafe_api("cudaHostAlloc", [&] {
    require(pointer != nullptr && flags <= 7, cudaErrorInvalidValue);
    *pointer = nullptr;
    if (bytes == 0) return;
    *pointer = allocate("cudaHostAlloc", bytes, MemoryKind::kPinned);
  });
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  return unsafe_api("cudaMallocHost", [&] {
    require(pointer != nullptr, cudaErrorInvalidValue);
    *pointer = nullptr;
    if (bytes == 0) return;
    *pointer = allocate("cudaMallocHost", bytes, MemoryKind::kPinned);
  });
}

cudaError_t cudaFreeHost(void* pointer) {
  return unsafe_api("cudaFreeHost", [&] {
    if (pointer == nullptr) return;
    Allocation& block = block_to_free("cudaFreeHost", pointer, cudaErrorInvalidValue);
    require(block.kind == MemoryKind::kPinned, cudaErrorInvalidValue);
    wait_for_all();
    release(block);
  });
}

cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned flags) {
  return unsafe_api("cudaHostRegister", [&] {
    require(pointer != nullptr && bytes > 0 && flags <= 15, cudaErrorInvalidValue);
    AddressSpace& space = AddressSpace::instance();
    const bool taken = space.find(address_of(pointer)) != nullptr ||
                       space.find(address_of(pointer) + bytes - 1) != nullptr;
    require(!taken, cudaErrorHostMemoryAlreadyRegistered);
    space.register_host(pointer, bytes, runtime().current().physical);
  });
}

cudaError_t cudaHostUnregister(void* pointer) {
  return unsafe_api("cudaHostUnregister", [&] {
    Allocation* block = AddressSpace::instance().find(address_of(pointer));
    require(block != nullptr && block->kind == MemoryKind::kRegistered &&
                block->begin == address_of(pointer),
            cudaErrorHostMemoryNotRegistered);
    wait_for_all();
    release(*block);
  });
}

cudaError_t cudaHostGetDevicePointer(void** result, void* pointer, unsigned flags) {
  return api("cudaHostGetDevicePointer", [&] {
    require(result != nullptr && flags == 0, cudaErrorInvalidValue);
    require(residence_of(pointer) == Residence::kPinned, cudaErrorInvalidValue);
    *result = pointer;
  });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* pointer) {
  return api("cudaHostGetFlags", [&] {
    require(flags != nullptr && residence_of(pointer) == Residence::kPinned, cudaErrorInvalidValue);
    *flags = cudaHostAllocMapped;
  });
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  return api("cudaMemGetInfo", [&] {
    Device& device = runtime().current();
    const std::uint64_t used = AddressSpace::instance().used(device.physical);
    if (total != nullptr) *total = device.model->memory_bytes;
    if (free_bytes != nullptr) *free_bytes = device.model->memory_bytes - used;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* result, const void* pointer) {
  return api("cudaPointerGetAttributes", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    *result = {};
    const Allocation* block = AddressSpace::instance().find(address_of(pointer));
    void* address = const_cast<void*>(pointer);
    if (block == nullptr || !block->live) {
      result->type = cudaMemoryTypeUnregistered;
      result->device = cudaInvalidDeviceId;
      result->hostPointer = address;
      return;
    }
    const Device* owner = runtime().by_physical(block->device);
    result->device = owner != nullptr ? owner->number : cudaInvalidDeviceId;
    result->devicePointer = address;
    switch (block->kind) {
      case MemoryKind::kDevice:
      case MemoryKind::kPeer:
        result->type = cudaMemoryTypeDevice;
        break;
      case MemoryKind::kManaged:
        result->type = cudaMemoryTypeManaged;
        result->hostPointer = address;
        break;
      default:
        result->type = cudaMemoryTypeHost;
        result->hostPointer = address;
    }
  });
}

cudaError_t cudaMemAdvise(const void* pointer, size_t bytes, cudaMemoryAdvise, cudaMemLocation) {
  return api("cudaMemAdvise", [&] {
    require(residence_of(pointer) == Residence::kManaged && bytes > 0, cudaErrorInvalidValue);
  });
}

cudaError_t cudaMemPrefetchAsync(const void* pointer, size_t bytes, cudaMemLocation, unsigned,
                                 cudaStream_t stream) {
  return api_result("cudaMemPrefetchAsync", [&] {
    require(residence_of(pointer) == Residence::kManaged && bytes > 0, cudaErrorInvalidValue);
    // Changes where the data lies, nothing that a program can see.
    return enqueue(runtime().stream_or_fail(stream), std::make_shared<EmptyOperation>());
  });
}

cudaError_t cudaMemRangeGetAttribute(void* data, size_t bytes, cudaMemRangeAttribute attribute,
                                     const void* pointer, size_t) {
  return api("cudaMemRangeGetAttribute", [&] {
    require(data != nullptr && bytes == sizeof(int) && residence_of(pointer) == Residence::kManaged,
            cudaErrorInvalidValue);
    const bool place = attribute == cudaMemRangeAttributePreferredLocation ||
                       attribute == cudaMemRangeAttributeLastPrefetchLocation;
    *static_cast<int*>(data) = place ? cudaInvalidDeviceId : 0;
  });
}

}  // extern "C"
