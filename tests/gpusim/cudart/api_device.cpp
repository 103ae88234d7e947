// Devices: choice, synchronisation, limits, peers.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "cudart/load.hpp"
#include "cudart/registry.hpp"
#include "cudart/reset.hpp"
#include "memory/peer_access.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

Runtime& runtime() {
  return Runtime::instance();
}

std::size_t default_limit(cudaLimit limit, const Device& device) {
  switch (limit) {
    case cudaLimitStackSize:
      return 1024;
    case cudaLimitPrintfFifoSize:
      return 1 << 20;
    case cudaLimitMallocHeapSize:
      return 8 << 20;
    case cudaLimitDevRuntimeSyncDepth:
      return 2;
    case cudaLimitDevRuntimePendingLaunchCount:
      return 2048;
    case cudaLimitMaxL2FetchGranularity:
      return 64;
    case cudaLimitPersistingL2CacheSize:
      return static_cast<std::size_t>(device.model->l2_bytes) / 4 * 3;
  }
  fail(cudaErrorUnsupportedLimit);
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  if (count == nullptr) return leave(cudaErrorInvalidValue);
  *count = 0;
  if (runtime().unusable() != cudaSuccess) return leave(runtime().unusable());
  *count = static_cast<int>(runtime().devices.size());
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int number) {
  return api("cudaSetDevice", [&] {
    Device& device = runtime().device(number);
    thread_state().device = number;
    runtime().use(device);
  });
}

cudaError_t cudaInitDevice(int number, unsigned flags, unsigned) {
  return api("cudaInitDevice", [&] {
    Device& device = runtime().device(number);
    runtime().use(device);
    device.flags = flags;
  });
}

cudaError_t cudaGetDevice(int* number) {
  return api("cudaGetDevice", [&] {
    require(number != nullptr, cudaErrorInvalidValue);
    *number = thread_state().device;
  });
}

cudaError_t cudaSetValidDevices(int* numbers, int count) {
  return api("cudaSetValidDevices", [&] {
    require(count >= 0 && (count == 0 || numbers != nullptr), cudaErrorInvalidValue);
    for (int i = 0; i < count; ++i) runtime().device(numbers[i]);
    if (count > 0) thread_state().device = numbers[0];
  });
}

cudaError_t cudaSetDeviceFlags(unsigned flags) {
  return api("cudaSetDeviceFlags", [&] {
    require((flags & ~unsigned{cudaDeviceMask}) == 0, cudaErrorInvalidValue);
    runtime().device(thread_state().device).flags = flags;
  });
}

cudaError_t cudaGetDeviceFlags(unsigned* flags) {
  return api("cudaGetDeviceFlags", [&] {
    require(flags != nullptr, cudaErrorInvalidValue);
    *flags = runtime().device(thread_state().device).flags | cudaDeviceMapHost;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return api_result("cudaDeviceSynchronize", [&] {
    refuse_during_capture();
    return wait_for(runtime().current());
  });
}

cudaError_t cudaDeviceReset() {
  return api("cudaDeviceReset", [&] {
    refuse_during_capture();
    reset(runtime().device(thread_state().device));
  });
}

cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t value) {
  return api("cudaDeviceSetLimit", [&] {
    Device& device = runtime().current();
    default_limit(limit, device);
    std::lock_guard lock(runtime().mutex);
    device.limits[limit] = value;
  });
}

cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit) {
  return api("cudaDeviceGetLimit", [&] {
    require(value != nullptr, cudaErrorInvalidValue);
    Device& device = runtime().current();
    std::lock_guard lock(runtime().mutex);
    auto found = device.limits.find(limit);
    *value = found != device.limits.end() ? found->second : default_limit(limit, device);
  });
}

cudaError_t cudaDeviceGetCacheConfig(cudaFuncCache* config) {
  return api("cudaDeviceGetCacheConfig", [&] {
    require(config != nullptr, cudaErrorInvalidValue);
    *config = cudaFuncCachePreferNone;
  });
}

cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) {
  return api("cudaDeviceSetCacheConfig", [] {});
}

cudaError_t cudaDeviceGetSharedMemConfig(cudaSharedMemConfig* config) {
  return api("cudaDeviceGetSharedMemConfig", [&] {
    require(config != nullptr, cudaErrorInvalidValue);
    *config = cudaSharedMemBankSizeFourByte;
  });
}

cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig) {
  return api("cudaDeviceSetSharedMemConfig", [] {});
}

cudaError_t cudaCtxResetPersistingL2Cache() {
  return api("cudaCtxResetPersistingL2Cache", [] {});
}

cudaError_t cudaDeviceFlushGPUDirectRDMAWrites(cudaFlushGPUDirectRDMAWritesTarget,
                                               cudaFlushGPUDirectRDMAWritesScope) {
  return api("cudaDeviceFlushGPUDirectRDMAWrites", [] {});
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int number, int peer) {
  return api("cudaDeviceCanAccessPeer", [&] {
    require(can != nullptr, cudaErrorInvalidValue);
    const int a = runtime().device(number).physical;
    const int b = runtime().device(peer).physical;
    *can = a != b && peer_access_possible(a, b) ? 1 : 0;
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return api("cudaDeviceEnablePeerAccess", [&] {
    require(flags == 0, cudaErrorInvalidValue);
    Device& device = runtime().current();
    const int other = runtime().device(peer).physical;
    require(other != device.physical, cudaErrorInvalidDevice);
    require(peer_access_possible(device.physical, other), cudaErrorPeerAccessUnsupported);
    std::lock_guard lock(runtime().mutex);
    require(device.peers.insert(other).second, cudaErrorPeerAccessAlreadyEnabled);
    set_peer_access(device.physical, other, true);
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return api("cudaDeviceDisablePeerAccess", [&] {
    Device& device = runtime().current();
    const int other = runtime().device(peer).physical;
    std::lock_guard lock(runtime().mutex);
    require(device.peers.erase(other) == 1, cudaErrorPeerAccessNotEnabled);
    set_peer_access(device.physical, other, false);
  });
}

cudaError_t cudaDeviceGetP2PAttribute(int* value, cudaDeviceP2PAttr which, int from, int to) {
  return api("cudaDeviceGetP2PAttribute", [&] {
    require(value != nullptr, cudaErrorInvalidValue);
    const int a = runtime().device(from).physical;
    const int b = runtime().device(to).physical;
    require(a != b, cudaErrorInvalidDevice);
    const bool possible = peer_access_possible(a, b);
    bool nvlink = false;
    for (const Link& link : machine().links) {
      const bool pair = (link.a == a && link.b == b) || (link.a == b && link.b == a);
      nvlink = nvlink || (pair && link.kind == "nvlink");
    }
    switch (which) {
      case cudaDevP2PAttrPerformanceRank:
        *value = nvlink ? 0 : 1;
        return;
      case cudaDevP2PAttrAccessSupported:
      case cudaDevP2PAttrCudaArrayAccessSupported:
        *value = possible ? 1 : 0;
        return;
      case cudaDevP2PAttrNativeAtomicSupported:
        *value = possible && nvlink ? 1 : 0;
        return;
      default:
        *value = 0;
    }
  });
}

}  // extern "C"
