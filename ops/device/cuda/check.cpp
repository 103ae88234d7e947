#include "ops/device/cuda/check.hpp"

namespace ingot::cuda {

std::string current_device_name() {
  int ordinal = 0;
  cudaDeviceProp properties{};
  if (cudaGetDevice(&ordinal) != cudaSuccess) return "GPU";
  if (cudaGetDeviceProperties(&properties, ordinal) != cudaSuccess) {
    return fmt::format("GPU {}", ordinal);
  }
  return fmt::format("GPU {} ({})", ordinal, properties.name);
}

void fail_with(cudaError_t code, std::string_view call, std::string_view doing) {
  const std::string device = current_device_name();
  // Errors of launches stay for the next call that asks; this one has been reported.
  (void)cudaGetLastError();
  const bool broken = code == cudaErrorIllegalAddress || code == cudaErrorMisalignedAddress ||
                      code == cudaErrorAssert || code == cudaErrorLaunchFailure;
  fail(ExitCode::kGpu, "{}: {}{}{} failed: {} ({}){}", device, doing, doing.empty() ? "" : ": ",
       call, cudaGetErrorString(code), cudaGetErrorName(code),
       broken ? "; earlier work of the GPU may be the cause: compute-sanitizer finds it" : "");
}

}  // namespace ingot::cuda
