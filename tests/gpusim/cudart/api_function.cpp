// Attributes of kernels, and occupancy.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "cudart/api.hpp"
#include "cudart/launch.hpp"
#include "cudart/load.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

Device& here() {
  return Runtime::instance().current();
}

void set_attribute(Kernel& kernel, cudaFuncAttribute attribute, int value, const Device& device) {
  const KernelProperties& properties = properties_of(kernel, device.physical);
  std::lock_guard lock(kernel.image->mutex);
  switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize: {
      const auto limit =
          static_cast<int>(device.model->shared_per_block_optin - properties.static_shared_bytes);
      if (value < 0 || value > limit) {
        explain("cudaFuncSetAttribute: " + std::to_string(value) +
                " bytes of dynamic shared memory for " + kernel.name + ", the device allows " +
                std::to_string(limit));
        fail(cudaErrorInvalidValue);
      }
      kernel.max_dynamic_shared[device.physical] = value;
      return;
    }
    case cudaFuncAttributePreferredSharedMemoryCarveout:
      require(value >= -1 && value <= 100, cudaErrorInvalidValue);
      kernel.carveout[device.physical] = value;
      return;
    case cudaFuncAttributeNonPortableClusterSizeAllowed:
    case cudaFuncAttributeClusterSchedulingPolicyPreference:
      return;
    default:
      fail(cudaErrorInvalidValue);
  }
}

int occupancy(const void* function, int threads, size_t dynamic_shared) {
  require(threads > 0, cudaErrorInvalidValue);
  Kernel& kernel = kernel_or_fail(function);
  const Device& device = here();
  const KernelProperties& properties = properties_of(kernel, device.physical);
  if (threads > static_cast<int>(properties.max_threads)) return 0;
  return blocks_per_multiprocessor(properties, *device.model, static_cast<std::uint32_t>(threads),
                                   static_cast<std::uint32_t>(dynamic_shared));
}

}  // namespace

extern "C" {

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* result, const void* function) {
  return api("cudaFuncGetAttributes", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    Kernel& kernel = kernel_or_fail(function);
    const Device& device = here();
    const KernelProperties& properties = properties_of(kernel, device.physical);
    LoadedModule& module = load(*kernel.image, device.physical);
    *result = {};
    result->sharedSizeBytes = properties.static_shared_bytes;
    result->constSizeBytes = properties.constant_bytes;
    result->localSizeBytes = properties.local_bytes;
    // Registers bound the block too: in whole warps.
    const std::uint32_t registers = std::max(properties.registers, 1U);
    const std::uint32_t warps =
        device.model->registers_per_multiprocessor / ((registers * 32 + 255) / 256 * 256);
    result->maxThreadsPerBlock =
        static_cast<int>(std::min({properties.max_threads, warps * 32, 1024U}));
    result->numRegs = static_cast<int>(properties.registers);
    result->ptxVersion = module.instance.module->architecture;
    result->binaryVersion = device.model->architecture;
    result->maxDynamicSharedSizeBytes = dynamic_shared_limit(kernel, device.physical);
    std::lock_guard lock(kernel.image->mutex);
    auto carveout = kernel.carveout.find(device.physical);
    result->preferredShmemCarveout = carveout != kernel.carveout.end() ? carveout->second : -1;
  });
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return api("cudaFuncSetAttribute",
             [&] { set_attribute(kernel_or_fail(function), attribute, value, here()); });
}

cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel, cudaFuncAttribute attribute,
                                            int value, int device) {
  return api("cudaKernelSetAttributeForDevice", [&] {
    set_attribute(kernel_or_fail(kernel), attribute, value, Runtime::instance().device(device));
  });
}

cudaError_t cudaFuncSetCacheConfig(const void* function, cudaFuncCache) {
  return api("cudaFuncSetCacheConfig", [&] { kernel_or_fail(function); });
}

cudaError_t cudaFuncSetSharedMemConfig(const void* function, cudaSharedMemConfig) {
  return api("cudaFuncSetSharedMemConfig", [&] { kernel_or_fail(function); });
}

cudaError_t cudaFuncGetName(const char** name, const void* function) {
  return api("cudaFuncGetName", [&] {
    require(name != nullptr, cudaErrorInvalidValue);
    *name = kernel_or_fail(function).name.c_str();
  });
}

cudaError_t cudaFuncGetParamInfo(const void* function, size_t index, size_t* offset,
                                 size_t* bytes) {
  return api("cudaFuncGetParamInfo", [&] {
    Kernel& kernel = kernel_or_fail(function);
    LoadedModule& module = load(*kernel.image, here().physical);
    const auto entry = static_cast<std::size_t>(entry_of(module, kernel.name));
    const auto& parameters = module.instance.module->functions[entry].parameters;
    require(index < parameters.size() && offset != nullptr, cudaErrorInvalidValue);
    *offset = parameters[index].offset;
    if (bytes != nullptr) *bytes = parameters[index].bytes;
  });
}

cudaError_t cudaGetKernel(cudaKernel_t* result, const void* function) {
  return api("cudaGetKernel", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    *result = kernel_or_fail(function).handle();
  });
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t* result, const void* function) {
  return api("cudaGetFuncBySymbol", [&] {
    require(result != nullptr, cudaErrorInvalidValue);
    *result = reinterpret_cast<cudaFunction_t>(&kernel_or_fail(function));
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks,
                                                                   const void* function,
                                                                   int threads, size_t shared,
                                                                   unsigned) {
  return api("cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags", [&] {
    require(blocks != nullptr, cudaErrorInvalidValue);
    *blocks = occupancy(function, threads, shared);
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                          int threads, size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, threads, shared,
                                                                0);
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, const void* function,
                                                      int blocks, int threads) {
  return api("cudaOccupancyAvailableDynamicSMemPerBlock", [&] {
    require(bytes != nullptr && blocks > 0, cudaErrorInvalidValue);
    Kernel& kernel = kernel_or_fail(function);
    const Device& device = here();
    size_t low = 0;
    auto high = static_cast<size_t>(dynamic_shared_limit(kernel, device.physical));
    while (low < high) {
      const size_t middle = (low + high + 1) / 2;
      if (occupancy(function, threads, middle) >= blocks) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    *bytes = low;
  });
}

cudaError_t cudaOccupancyMaxPotentialClusterSize(int* blocks, const void* function,
                                                 const cudaLaunchConfig_t* config) {
  return api("cudaOccupancyMaxPotentialClusterSize", [&] {
    require(blocks != nullptr && config != nullptr, cudaErrorInvalidValue);
    kernel_or_fail(function);
    require(here().model->architecture >= 90, cudaErrorNotSupported);
    *blocks = 8;
  });
}

cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void* function,
                                           const cudaLaunchConfig_t* config) {
  return api("cudaOccupancyMaxActiveClusters", [&] {
    require(clusters != nullptr && config != nullptr, cudaErrorInvalidValue);
    const Device& device = here();
    require(device.model->architecture >= 90, cudaErrorNotSupported);
    unsigned size = 1;
    for (unsigned i = 0; i < config->numAttrs; ++i) {
      const auto& attribute = config->attrs[i];
      if (attribute.id != cudaLaunchAttributeClusterDimension) continue;
      const auto& cluster = attribute.val.clusterDim;
      size = std::max(1U, cluster.x * cluster.y * cluster.z);
    }
    const dim3& block = config->blockDim;
    const int blocks = occupancy(function, static_cast<int>(block.x * block.y * block.z),
                                 config->dynamicSmemBytes);
    *clusters = blocks * device.model->multiprocessors / static_cast<int>(size);
  });
}

}  // extern "C"
