// Kernel launches: the configuration checked against device and kernel, arguments copied at once.
#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "cudart/operation.hpp"
#include "cudart/registry.hpp"

namespace gpusim::cudart {

struct LaunchShape {
  dim3 grid{1, 1, 1}, block{1, 1, 1}, cluster{0, 0, 0};
  std::size_t dynamic_shared = 0;
  bool cooperative = false;
};

class KernelOperation : public Operation {
 public:
  Outcome run(const RunContext& context) const override;
  cudaGraphNodeType type() const override { return cudaGraphNodeTypeKernel; }
  std::string name() const override;

  Kernel* kernel = nullptr;
  int device = 0;  ///< of the machine
  const ModuleInstance* module = nullptr;
  int function = -1;
  LaunchShape shape;
  std::vector<std::byte> parameters;
  /// What cudaGraphKernelNodeGetParams gives back: pointers into `parameters`.
  std::vector<void*> argument_pointers;
};

/// Checks everything that CUDA checks at the call and copies the arguments; `arguments` may be
/// null with `extra` in the driver's form. `device` counts in the machine.
std::shared_ptr<KernelOperation> make_kernel(Kernel& kernel, int device, const LaunchShape& shape,
                                             void** arguments, void** extra = nullptr);

/// The kernel behind a stub or handle; fails with cudaErrorInvalidDeviceFunction.
Kernel& kernel_or_fail(const void* function);
/// "scale(float*, int)"; for reports.
const std::string& shown_name(Kernel& kernel);
/// What decoding tells about the kernel on a device, with registers from its cubin where known.
const KernelProperties& properties_of(Kernel& kernel, int device);
/// Dynamic shared memory that it may be launched with, after cudaFuncSetAttribute.
int dynamic_shared_limit(Kernel& kernel, int device);

}  // namespace gpusim::cudart
