#include "ops/device/cuda/survey.hpp"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

namespace ingot::cuda {
namespace {

/// The oldest GPUs that kernels are compiled for.
constexpr int kLeastMajor = 8;

/// As nvidia-smi prints it.
std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

std::string pci_text(const cudaDeviceProp& properties) {
  return fmt::format("{:08x}:{:02x}:{:02x}.0", properties.pciDomainID, properties.pciBusID,
                     properties.pciDeviceID);
}

std::string problem_of(cudaError_t code, const Survey& survey) {
  const std::string driver = version_text(survey.driver_version);
  const std::string runtime = version_text(survey.runtime_version);
  if (survey.driver_version == 0) {
    return fmt::format(
        "there is no NVIDIA driver on this machine (for CUDA runtime {}): install one, or start "
        "the "
        "job on a machine with GPUs",
        runtime);
  }
  // Within one major version a newer runtime works on an older driver.
  if (code == cudaErrorInsufficientDriver ||
      survey.driver_version / 1000 < survey.runtime_version / 1000) {
    return fmt::format(
        "the NVIDIA driver supports CUDA {}, ingot is linked with the CUDA runtime {}: install a "
        "driver for CUDA {}.x or newer, or an ingot that was built with an older toolkit",
        driver, runtime, survey.runtime_version / 1000);
  }
  if (code == cudaErrorNoDevice || code == cudaSuccess) {
    return "the NVIDIA driver shows no GPU to this process: look at nvidia-smi and at "
           "CUDA_VISIBLE_DEVICES";
  }
  return fmt::format("CUDA cannot be initialised: {} ({}); look at nvidia-smi and the kernel log",
                     cudaGetErrorString(code), cudaGetErrorName(code));
}

}  // namespace

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

Survey survey_gpus() {
  Survey survey;
  (void)cudaDriverGetVersion(&survey.driver_version);
  (void)cudaRuntimeGetVersion(&survey.runtime_version);
  const std::size_t lt = cublasLtGetVersion();
  survey.cublas = fmt::format("{}.{}.{}", lt / 10000, lt / 100 % 100, lt % 100);
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  (void)cudaGetLastError();
  const bool old_driver = survey.driver_version / 1000 < survey.runtime_version / 1000;
  if (code != cudaSuccess || count == 0 || old_driver) {
    survey.problem = problem_of(code, survey);
    return survey;
  }
  const Nvml nvml;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, ordinal) != cudaSuccess) continue;
    Gpu gpu;
    gpu.ordinal = ordinal;
    gpu.name = properties.name;
    gpu.uuid = uuid_text(properties.uuid);
    gpu.major = properties.major;
    gpu.minor = properties.minor;
    gpu.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
    gpu.nvml = nvml.facts(gpu.uuid, pci_text(properties));
    survey.gpus.push_back(std::move(gpu));
  }
  for (const Gpu& gpu : survey.gpus) {
    if (gpu.major >= kLeastMajor) continue;
    survey.problem = fmt::format(
        "GPU {} ({}) has compute capability {}.{}, ingot's kernels need {}.0: leave it out with "
        "CUDA_VISIBLE_DEVICES",
        gpu.ordinal, gpu.name, gpu.major, gpu.minor, kLeastMajor);
  }
  return survey;
}

}  // namespace ingot::cuda
