// Errors and versions: the calls that work where nothing else does.
#include <cuda_runtime_api.h>

#include "cudart/api.hpp"
#include "machine/error_codes.hpp"

using namespace gpusim;
using namespace gpusim::cudart;

namespace {

const ErrorCode* code_of(cudaError_t error) {
  for (const ErrorCode& code : error_codes()) {
    if (code.number == static_cast<int>(error)) return &code;
  }
  return nullptr;
}

cudaError_t pending_error() {
  Runtime& runtime = Runtime::instance();
  if (runtime.sticky() != cudaSuccess) return runtime.sticky();
  return thread_state().last_error;
}

}  // namespace

extern "C" {

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorCode* code = code_of(error);
  return code != nullptr ? code->name.data() : "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  const ErrorCode* code = code_of(error);
  return code != nullptr ? code->text.data() : "unrecognized error code";
}

cudaError_t cudaPeekAtLastError() {
  return pending_error();
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = pending_error();
  thread_state().last_error = cudaSuccess;
  return error;
}

cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr) return leave(cudaErrorInvalidValue);
  *version = machine().driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return leave(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaProfilerStart() {
  return cudaSuccess;
}
cudaError_t cudaProfilerStop() {
  return cudaSuccess;
}

}  // extern "C"
