// The usual shape of a CUDA kernel: a function that launches on the stream it is given. Included by
// <op>_cuda.cpp files, which the host compiler builds: what nvcc compiles, <op>_kernels.cu behind
// <op>_kernels.hpp, is plain CUDA and includes nothing of this (nvcc cannot read fmt).
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <utility>

#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_device.hpp"
#include "ops/op.hpp"

namespace ingot::cuda {

/// Throws Error(kGpu) naming the call where cuBLAS reports an error.
inline void check(cublasStatus_t status, std::string_view call, std::string_view doing = {}) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(ExitCode::kGpu, "{}: {}{}{} failed: {}", current_device_name(), doing,
       doing.empty() ? "" : ": ", call, cublasLtGetStatusName(status));
}

/// Of the GPU that a kernel is prepared for.
inline const cudaDeviceProp& properties(Device& device) {
  return cuda_device(device).properties();
}
inline cublasLtHandle_t cublaslt(Device& device) {
  return cuda_device(device).cublaslt();
}

/// Wraps a callable void(cudaStream_t, const KernelArguments&) into a kernel. It launches and
/// returns; it may be called within a recording, so it neither synchronizes nor allocates. An error
/// of a launch is thrown; the executor adds the instruction's label to it.
template <typename F>
std::unique_ptr<Kernel> make_cuda_kernel(F function, std::int64_t workspace_bytes = 0) {
  class FunctionKernel final : public Kernel {
   public:
    FunctionKernel(F function, std::int64_t workspace_bytes)
        : function_(std::move(function)), workspace_bytes_(workspace_bytes) {}
    std::int64_t workspace_bytes() const override { return workspace_bytes_; }
    void enqueue(Stream& stream, const KernelArguments& arguments) override {
      function_(native(stream), arguments);
      check(cudaPeekAtLastError(), "kernel launch");
    }

   private:
    F function_;
    std::int64_t workspace_bytes_;
  };
  return std::make_unique<FunctionKernel>(std::move(function), workspace_bytes);
}

}  // namespace ingot::cuda
