// cudaMallocAsync, cudaFreeAsync and their pools.
#include "cudart/pool.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "cudart/api.hpp"
#include "cudart/internal.hpp"
#include "memory/peer_access.hpp"

namespace gpusim::cudart {
namespace {

struct Pools {
  std::mutex mutex;
  std::unordered_set<MemoryPool*> all;
  std::unordered_map<const Allocation*, MemoryPool*> owners;
};

Pools& pools() {
  static Pools* shared = new Pools;
  return *shared;
}

MemoryPool* new_pool(int device) {
  auto* pool = new MemoryPool;
  pool->device = device;
  std::lock_guard lock(pools().mutex);
  pools().all.insert(pool);
  return pool;
}

MemoryPool& pool_of(cudaMemPool_t handle) {
  auto* pool = reinterpret_cast<MemoryPool*>(handle);
  std::lock_guard lock(pools().mutex);
  require(pools().all.count(pool) == 1, cudaErrorInvalidValue);
  return *pool;
}

AccessSet whole(const Allocation& block) {
  AccessSet accesses;
  if (options().check_streams) accesses.write(block.begin, block.bytes);
  return accesses;
}

}  // namespace

MemoryPool& default_pool(Device& device) {
  std::lock_guard lock(Runtime::instance().mutex);
  if (device.default_pool == nullptr) {
    device.default_pool = new_pool(device.physical);
    device.default_pool->is_default = true;
    device.pool = device.default_pool;
  }
  return *device.default_pool;
}

void forget_pooled(const Allocation& block) {
  std::lock_guard lock(pools().mutex);
  auto found = pools().owners.find(&block);
  if (found == pools().owners.end()) return;
  found->second->used -= block.bytes;
  pools().owners.erase(found);
}

Allocation* allocate_pooled(MemoryPool& pool, std::size_t bytes, const char* label) {
  static std::atomic<std::uint64_t> made{0};
  const std::string name = std::string(label) + " #" + std::to_string(++made);
  AddressSpace& space = AddressSpace::instance();
  Allocation* block = space.allocate(bytes, MemoryKind::kDevice, pool.device, name);
  if (block == nullptr) {
    Device* device = Runtime::instance().by_physical(pool.device);
    if (device != nullptr && device->used) wait_for(*device);
    block = space.allocate(bytes, MemoryKind::kDevice, pool.device, name);
  }
  require(block != nullptr, cudaErrorMemoryAllocation);
  pool.used += block->bytes;
  pool.used_high = std::max(pool.used_high.load(), pool.used.load());
  std::lock_guard lock(pools().mutex);
  pools().owners[block] = &pool;
  return block;
}

Outcome AllocateOperation::run(const RunContext&) const {
  Outcome outcome;
  if (block_->initialised != nullptr) {
    // In a graph's replay the block holds what the last one left: that counts for nothing.
    const std::uint64_t words = (block_->bytes + 63) / 64;
    for (std::uint64_t i = 0; i < words; ++i) {
      if (block_->initialised[i].load(std::memory_order_relaxed) != 0) {
        block_->initialised[i].store(0, std::memory_order_relaxed);
      }
    }
  }
  outcome.accesses = whole(*block_);
  return outcome;
}

Outcome FreeOperation::run(const RunContext&) const {
  Outcome outcome;
  outcome.accesses = whole(*block_);
  return outcome;
}

void FreeOperation::finish() const {
  if (in_graph_) return;
  forget_pooled(*block_);
  StreamOrder::instance().forget(block_->begin, block_->bytes);
  AddressSpace::instance().release(*block_);
}

namespace {

void allocate_in(void** pointer, std::size_t bytes, MemoryPool& pool, cudaStream_t handle) {
  require(pointer != nullptr, cudaErrorInvalidValue);
  const StreamPointer stream = Runtime::instance().stream_or_fail(handle);
  *pointer = nullptr;
  if (bytes == 0) return;
  Allocation* block = allocate_pooled(pool, bytes, "cudaMallocAsync");
  // A captured allocation belongs to the graph.
  block->internal = stream->capture != nullptr;
  cudaMemPoolProps properties = {};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location = {cudaMemLocationTypeDevice, stream->device().number};
  const cudaError_t error = enqueue(stream, std::make_shared<AllocateOperation>(block, properties));
  require(error == cudaSuccess, error);
  *pointer = reinterpret_cast<void*>(block->begin);
}

/// Access to a pool is kept with that to its device's other memory: wider than on hardware.
void open_pool(int owner, const Device& device, cudaMemAccessFlags flags) {
  if (device.physical == owner) return;
  require(peer_access_possible(device.physical, owner), cudaErrorInvalidDevice);
  if (flags != cudaMemAccessFlagsProtNone) set_peer_access(device.physical, owner, true);
}

Device& device_at(const cudaMemLocation& location) {
  require(location.type == cudaMemLocationTypeDevice, cudaErrorNotSupported);
  return Runtime::instance().device(location.id);
}

}  // namespace
}  // namespace gpusim::cudart

using namespace gpusim;
using namespace gpusim::cudart;

extern "C" {

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  return api("cudaMallocAsync", [&] {
    Device& device = Runtime::instance().stream_or_fail(stream)->device();
    default_pool(device);
    allocate_in(pointer, bytes, *device.pool, stream);
  });
}

cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t stream) {
  return api("cudaMallocFromPoolAsync",
             [&] { allocate_in(pointer, bytes, pool_of(pool), stream); });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
  return api("cudaFreeAsync", [&] {
    const StreamPointer stream = Runtime::instance().stream_or_fail(handle);
    if (pointer == nullptr) return;
    AddressSpace& space = AddressSpace::instance();
    const auto address = reinterpret_cast<std::uint64_t>(pointer);
    Allocation* block = space.find(address);
    const bool captured = stream->capture != nullptr;
    const bool valid = block != nullptr && block->live && block->begin == address &&
                       (captured || !block->internal) && block->kind == MemoryKind::kDevice;
    if (!valid) {
      report_problem("invalid free", "cudaFreeAsync of " + space.describe(address));
      fail(cudaErrorInvalidValue);
    }
    const cudaError_t error = enqueue(stream, std::make_shared<FreeOperation>(block, captured));
    require(error == cudaSuccess, error);
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return api("cudaDeviceGetDefaultMemPool", [&] {
    require(pool != nullptr, cudaErrorInvalidValue);
    *pool = default_pool(Runtime::instance().device(device)).handle();
  });
}

cudaError_t cudaMemGetDefaultMemPool(cudaMemPool_t* pool, cudaMemLocation* location,
                                     cudaMemAllocationType) {
  return api("cudaMemGetDefaultMemPool", [&] {
    require(pool != nullptr && location != nullptr, cudaErrorInvalidValue);
    *pool = default_pool(device_at(*location)).handle();
  });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int number) {
  return api("cudaDeviceGetMemPool", [&] {
    require(pool != nullptr, cudaErrorInvalidValue);
    Device& device = Runtime::instance().device(number);
    default_pool(device);
    *pool = device.pool->handle();
  });
}

cudaError_t cudaDeviceSetMemPool(int number, cudaMemPool_t pool) {
  return api("cudaDeviceSetMemPool", [&] {
    Device& device = Runtime::instance().device(number);
    default_pool(device);
    device.pool = &pool_of(pool);
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  return api("cudaMemPoolCreate", [&] {
    require(pool != nullptr && properties != nullptr, cudaErrorInvalidValue);
    *pool = new_pool(device_at(properties->location).physical)->handle();
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t handle) {
  return api("cudaMemPoolDestroy", [&] {
    MemoryPool& pool = pool_of(handle);
    require(!pool.is_default, cudaErrorInvalidValue);
    for (auto& device : Runtime::instance().devices) {
      if (device->pool == &pool) device->pool = device->default_pool;
    }
    // Blocks that still live keep the object: only the handle goes.
    std::lock_guard lock(pools().mutex);
    pools().all.erase(&pool);
  });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t) {
  return api("cudaMemPoolTrimTo", [&] { pool_of(pool); });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return api("cudaMemPoolSetAttribute", [&] {
    MemoryPool& pool = pool_of(handle);
    require(value != nullptr, cudaErrorInvalidValue);
    if (attribute <= cudaMemPoolReuseAllowInternalDependencies) {
      pool.flags[attribute] = *static_cast<int*>(value);
    } else if (attribute == cudaMemPoolAttrReleaseThreshold) {
      pool.release_threshold = *static_cast<std::uint64_t*>(value);
    } else {
      // The high-water marks may only be reset.
      require(*static_cast<std::uint64_t*>(value) == 0, cudaErrorInvalidValue);
      if (attribute == cudaMemPoolAttrUsedMemHigh) pool.used_high = pool.used.load();
    }
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return api("cudaMemPoolGetAttribute", [&] {
    MemoryPool& pool = pool_of(handle);
    require(value != nullptr, cudaErrorInvalidValue);
    if (attribute <= cudaMemPoolReuseAllowInternalDependencies) {
      auto found = pool.flags.find(attribute);
      *static_cast<int*>(value) = found != pool.flags.end() ? found->second : 1;
      return;
    }
    std::uint64_t result = pool.used;
    if (attribute == cudaMemPoolAttrReleaseThreshold) result = pool.release_threshold;
    if (attribute == cudaMemPoolAttrUsedMemHigh || attribute == cudaMemPoolAttrReservedMemHigh) {
      result = pool.used_high;
    }
    *static_cast<std::uint64_t*>(value) = result;
  });
}

cudaError_t cudaMemPoolSetAccess(cudaMemPool_t pool, const cudaMemAccessDesc* list, size_t count) {
  return api("cudaMemPoolSetAccess", [&] {
    const int owner = pool_of(pool).device;
    for (size_t i = 0; i < count; ++i) open_pool(owner, device_at(list[i].location), list[i].flags);
  });
}

cudaError_t cudaMemPoolGetAccess(cudaMemAccessFlags* flags, cudaMemPool_t pool,
                                 cudaMemLocation* location) {
  return api("cudaMemPoolGetAccess", [&] {
    require(flags != nullptr && location != nullptr, cudaErrorInvalidValue);
    *flags = cudart::may_access(device_at(*location).physical, pool_of(pool).device)
                 ? cudaMemAccessFlagsProtReadWrite
                 : cudaMemAccessFlagsProtNone;
  });
}

}  // extern "C"
