// cudaDeviceProp and the attributes of a device, from its model.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cudart/api.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

/// The bytes of "GPU-xxxxxxxx-xxxx-..." ; other texts give their characters.
cudaUUID_t uuid_bytes(const std::string& text) {
  cudaUUID_t result = {};
  std::string digits;
  for (char c : text.substr(text.rfind("GPU-", 0) == 0 ? 4 : 0)) {
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  }
  digits.resize(32, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    result.bytes[i] = static_cast<char>(std::strtol(digits.substr(2 * i, 2).c_str(), nullptr, 16));
  }
  return result;
}

cudaDeviceProp properties(const Device& device) {
  const DeviceModel& model = *device.model;
  cudaDeviceProp p = {};
  std::snprintf(p.name, sizeof(p.name), "%s", model.name.c_str());
  p.uuid = uuid_bytes(model.uuid);
  p.totalGlobalMem = model.memory_bytes;
  p.sharedMemPerBlock = model.shared_per_block;
  p.regsPerBlock = static_cast<int>(model.registers_per_multiprocessor);
  p.warpSize = 32;
  p.memPitch = 2147483647;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 2147483647;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.totalConstMem = 65536;
  p.major = model.architecture / 10;
  p.minor = model.architecture % 10;
  p.textureAlignment = 512;
  p.texturePitchAlignment = 32;
  p.multiProcessorCount = model.multiprocessors;
  p.canMapHostMemory = 1;
  p.surfaceAlignment = 512;
  p.concurrentKernels = 1;
  p.ECCEnabled = 1;
  p.pciBusID = model.pci_bus;
  p.asyncEngineCount = 3;
  p.unifiedAddressing = 1;
  p.memoryBusWidth = model.memory_bus_bits;
  p.l2CacheSize = model.l2_bytes;
  p.persistingL2CacheMaxSize = model.l2_bytes / 4 * 3;
  p.maxThreadsPerMultiProcessor = model.threads_per_multiprocessor;
  p.streamPrioritiesSupported = 1;
  p.globalL1CacheSupported = p.localL1CacheSupported = 1;
  p.sharedMemPerMultiprocessor = model.shared_per_multiprocessor;
  p.regsPerMultiprocessor = static_cast<int>(model.registers_per_multiprocessor);
  p.managedMemory = 1;
  p.multiGpuBoardGroupID = device.number;
  p.pageableMemoryAccess = machine().pageable_memory_access ? 1 : 0;
  p.concurrentManagedAccess = 1;
  p.computePreemptionSupported = 1;
  p.canUseHostPointerForRegisteredMem = 1;
  p.cooperativeLaunch = 1;
  p.sharedMemPerBlockOptin = model.shared_per_block_optin;
  p.maxBlocksPerMultiProcessor = model.blocks_per_multiprocessor;
  p.accessPolicyMaxWindowSize = 134213632;
  p.reservedSharedMemPerBlock = model.shared_reserved_per_block;
  p.hostRegisterSupported = 1;
  p.memoryPoolsSupported = 1;
  p.ipcEventSupported = 1;
  p.clusterLaunch = model.architecture >= 90 ? 1 : 0;
  p.deviceNumaId = -1;
  p.hostNumaId = model.numa_node;
  return p;
}

/// An attribute; false for one that is unknown.
bool attribute(const Device& device, cudaDeviceAttr which, int& value) {
  const DeviceModel& model = *device.model;
  const cudaDeviceProp p = properties(device);
  switch (which) {
    case cudaDevAttrMaxThreadsPerBlock:
      return value = p.maxThreadsPerBlock, true;
    case cudaDevAttrMaxBlockDimX:
      return value = p.maxThreadsDim[0], true;
    case cudaDevAttrMaxBlockDimY:
      return value = p.maxThreadsDim[1], true;
    case cudaDevAttrMaxBlockDimZ:
      return value = p.maxThreadsDim[2], true;
    case cudaDevAttrMaxGridDimX:
      return value = p.maxGridSize[0], true;
    case cudaDevAttrMaxGridDimY:
      return value = p.maxGridSize[1], true;
    case cudaDevAttrMaxGridDimZ:
      return value = p.maxGridSize[2], true;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return value = static_cast<int>(p.sharedMemPerBlock), true;
    case cudaDevAttrTotalConstantMemory:
      return value = static_cast<int>(p.totalConstMem), true;
    case cudaDevAttrWarpSize:
      return value = p.warpSize, true;
    case cudaDevAttrMaxPitch:
      return value = static_cast<int>(p.memPitch), true;
    case cudaDevAttrMaxRegistersPerBlock:
      return value = p.regsPerBlock, true;
    case cudaDevAttrClockRate:
      return value = model.clock_khz, true;
    case cudaDevAttrMemoryClockRate:
      return value = model.memory_clock_khz, true;
    case cudaDevAttrMultiProcessorCount:
      return value = p.multiProcessorCount, true;
    case cudaDevAttrComputeMode:
      value =
          machine().exclusive_process ? cudaComputeModeExclusiveProcess : cudaComputeModeDefault;
      return true;
    case cudaDevAttrEccEnabled:
      return value = p.ECCEnabled, true;
    case cudaDevAttrPciBusId:
      return value = p.pciBusID, true;
    case cudaDevAttrGlobalMemoryBusWidth:
      return value = p.memoryBusWidth, true;
    case cudaDevAttrL2CacheSize:
      return value = p.l2CacheSize, true;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return value = p.maxThreadsPerMultiProcessor, true;
    case cudaDevAttrAsyncEngineCount:
      return value = p.asyncEngineCount, true;
    case cudaDevAttrComputeCapabilityMajor:
      return value = p.major, true;
    case cudaDevAttrComputeCapabilityMinor:
      return value = p.minor, true;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return value = static_cast<int>(p.sharedMemPerMultiprocessor), true;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return value = p.regsPerMultiprocessor, true;
    case cudaDevAttrMultiGpuBoardGroupID:
      return value = p.multiGpuBoardGroupID, true;
    case cudaDevAttrPageableMemoryAccess:
      return value = p.pageableMemoryAccess, true;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return value = static_cast<int>(p.sharedMemPerBlockOptin), true;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return value = p.maxBlocksPerMultiProcessor, true;
    case cudaDevAttrMaxPersistingL2CacheSize:
      return value = p.persistingL2CacheMaxSize, true;
    case cudaDevAttrMaxAccessPolicyWindowSize:
      return value = p.accessPolicyMaxWindowSize, true;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return value = static_cast<int>(p.reservedSharedMemPerBlock), true;
    case cudaDevAttrClusterLaunch:
      return value = p.clusterLaunch, true;
    case cudaDevAttrTextureAlignment:
    case cudaDevAttrSurfaceAlignment:
      return value = 512, true;
    case cudaDevAttrTexturePitchAlignment:
      return value = 32, true;
    case cudaDevAttrSingleToDoublePrecisionPerfRatio:
      return value = model.architecture % 10 == 0 ? 2 : 64, true;
    case cudaDevAttrMemSyncDomainCount:
      return value = model.architecture >= 90 ? 4 : 1, true;
    case cudaDevAttrNumaId:
      return value = -1, true;
    case cudaDevAttrHostNumaId:
      return value = p.hostNumaId, true;
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrIpcEventSupport:
      return value = 1, true;
    default:
      break;
  }
  // Textures, graphics and what else there is: none of it here.
  value = 0;
  return which > 0 && which < cudaDevAttrMax;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* result, int number) {
  return api("cudaGetDeviceProperties", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    *result = properties(Runtime::instance().device(number));
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int number) {
  return api("cudaDeviceGetAttribute", [&] {
    require(value != nullptr, cudaErrorInvalidValue);
    const Device& device = Runtime::instance().device(number);
    require(attribute(device, which, *value), cudaErrorInvalidValue);
  });
}

cudaError_t cudaChooseDevice(int* number, const cudaDeviceProp* wanted) {
  return api("cudaChooseDevice", [&] {
    require(number != nullptr && wanted != nullptr, cudaErrorInvalidValue);
    *number = 0;
    for (auto& device : Runtime::instance().devices) {
      const int wanted_architecture = wanted->major * 10 + wanted->minor;
      if (device->model->architecture >= wanted_architecture) {
        *number = device->number;
        return;
      }
    }
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int number) {
  return api("cudaDeviceGetPCIBusId", [&] {
    const Device& device = Runtime::instance().device(number);
    require(text != nullptr && length >= 13, cudaErrorInvalidValue);
    std::snprintf(text, static_cast<std::size_t>(length), "0000:%02X:00.0",
                  static_cast<unsigned>(device.model->pci_bus));
  });
}

cudaError_t cudaDeviceGetByPCIBusId(int* number, const char* text) {
  return api("cudaDeviceGetByPCIBusId", [&] {
    require(number != nullptr && text != nullptr, cudaErrorInvalidValue);
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    if (std::sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3) {
      domain = 0;
      require(std::sscanf(text, "%x:%x.%x", &bus, &slot, &function) >= 2, cudaErrorInvalidValue);
    }
    for (auto& device : Runtime::instance().devices) {
      if (domain == 0 && slot == 0 && static_cast<unsigned>(device->model->pci_bus) == bus) {
        *number = device->number;
        return;
      }
    }
    fail(cudaErrorInvalidDevice);
  });
}

}  // extern "C"
