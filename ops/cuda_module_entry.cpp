// The module's side of ops/cuda_module.hpp; part of libingot_cuda.so alone.
#include "ops/cuda_fault.hpp"
#include "ops/cuda_module.hpp"
#include "ops/device/cuda/cuda_device.hpp"
#include "ops/device/cuda/survey.hpp"

namespace ingot {
namespace {

class Module final : public CudaModule {
 public:
  GpuSurvey survey() override {
    const cuda::Survey found = cuda::survey_gpus();
    GpuSurvey result;
    result.driver_version = found.driver_version;
    result.runtime_version = found.runtime_version;
    result.cublas = found.cublas;
    result.problem = found.problem;
    for (const cuda::Gpu& gpu : found.gpus) {
      result.gpus.push_back({gpu.ordinal, gpu.name, gpu.uuid, gpu.major, gpu.minor,
                             gpu.memory_bytes, gpu.nvml.mig, gpu.nvml.other_processes,
                             gpu.nvml.uncorrected_errors, gpu.nvml.unknown});
    }
    return result;
  }
  std::unique_ptr<Device> create_device(int ordinal) override {
    auto device = std::make_unique<cuda::CudaDevice>(ordinal);
    device->set_fault_handler(cuda::throw_fault);
    return device;
  }
  void register_kernels(Registry& registry) override { register_ops_cuda(registry); }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) void* ingot_cuda_module(int version) {
  static Module module;
  return version == kCudaModuleVersion ? static_cast<CudaModule*>(&module) : nullptr;
}

}  // namespace ingot
