// Kernel launches.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "cudart/launch.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

struct Configuration {
  dim3 grid, block;
  size_t shared = 0;
  cudaStream_t stream = nullptr;
};

/// Launches nest where a kernel argument's copy constructor launches.
std::vector<Configuration>& configurations() {
  static thread_local std::vector<Configuration> stack;
  return stack;
}

cudaError_t launch(const char* name, const void* function, const LaunchShape& shape, void** args,
                   cudaStream_t handle) {
  return api_result(name, [&] {
    const StreamPointer stream = Runtime::instance().stream_or_fail(handle);
    Kernel& kernel = kernel_or_fail(function);
    return enqueue(stream, make_kernel(kernel, stream->device().physical, shape, args));
  });
}

LaunchShape plain(dim3 grid, dim3 block, size_t shared) {
  LaunchShape shape;
  shape.grid = grid;
  shape.block = block;
  shape.dynamic_shared = shared;
  return shape;
}

}  // namespace

extern "C" {

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream);
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream);
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                               size_t shared, cudaStream_t stream);
cudaError_t __cudaLaunchKernel_ptsz(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                                    size_t shared, cudaStream_t stream);

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, cudaStream_t stream) {
  configurations().push_back({grid, block, shared, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  auto& stack = configurations();
  if (stack.empty()) return leave(cudaErrorMissingConfiguration);
  const Configuration top = stack.back();
  stack.pop_back();
  *grid = top.grid;
  *block = top.block;
  *shared = top.shared;
  *static_cast<cudaStream_t*>(stream) = top.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* result, const void* host) {
  Kernel* kernel = Registry::instance().kernel(host);
  *result = kernel != nullptr ? kernel->handle() : nullptr;
  return kernel != nullptr ? cudaSuccess : leave(cudaErrorInvalidDeviceFunction);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                               size_t shared, cudaStream_t stream) {
  return launch("cudaLaunchKernel", kernel, plain(grid, block, shared), args, stream);
}

cudaError_t __cudaLaunchKernel_ptsz(cudaKernel_t kernel, dim3 grid, dim3 block, void** args,
                                    size_t shared, cudaStream_t stream) {
  if (stream == nullptr) stream = cudaStreamPerThread;
  return __cudaLaunchKernel(kernel, grid, block, args, shared, stream);
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** args,
                             size_t shared, cudaStream_t stream) {
  return launch("cudaLaunchKernel", function, plain(grid, block, shared), args, stream);
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block, void** args,
                                        size_t shared, cudaStream_t stream) {
  LaunchShape shape = plain(grid, block, shared);
  shape.cooperative = true;
  return launch("cudaLaunchCooperativeKernel", function, shape, args, stream);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function,
                                void** args) {
  if (config == nullptr) return leave(cudaErrorInvalidValue);
  LaunchShape shape = plain(config->gridDim, config->blockDim, config->dynamicSmemBytes);
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config->attrs[i];
    if (attribute.id == cudaLaunchAttributeCooperative) {
      shape.cooperative = attribute.val.cooperative != 0;
    } else if (attribute.id == cudaLaunchAttributeClusterDimension) {
      const auto& cluster = attribute.val.clusterDim;
      shape.cluster = dim3(cluster.x, cluster.y, cluster.z);
    }
    // Priorities, policies and early starts of dependent kernels change no result here.
  }
  return launch("cudaLaunchKernelExC", function, shape, args, config->stream);
}

}  // extern "C"
