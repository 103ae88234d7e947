// Handles, versions, names of statuses and the logger of cuBLASLt.
#include "cublaslt/library.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "cublaslt/problem.hpp"
#include "cudart/internal.hpp"

namespace gpusim::blas {

namespace {

struct Logger {
  std::mutex mutex;
  cublasLtLoggerCallback_t callback = nullptr;
  FILE* file = nullptr;
  int level = 0;
  bool disabled = false;
  Logger() {
    if (const char* text = std::getenv("CUBLASLT_LOG_LEVEL")) level = std::atoi(text);
  }
};

Logger& logger() {
  static auto* only = new Logger;
  return *only;
}

constexpr int kVersion[3] = {CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR, CUBLAS_VER_PATCH};

}  // namespace

cublasStatus_t conclude(const char* function, const Verdict& verdict) {
  if (verdict.ok()) return verdict.status;
  Logger& log = logger();
  const std::lock_guard lock(log.mutex);
  const bool mentioned = !log.disabled && (log.level >= 1 || log.callback != nullptr);
  if (mentioned && log.callback != nullptr) log.callback(1, function, verdict.reason.c_str());
  if (mentioned && log.callback == nullptr) {
    std::fprintf(log.file != nullptr ? log.file : stderr, "gpusim: %s: %s: %s\n", function,
                 cublasLtGetStatusName(verdict.status), verdict.reason.c_str());
  }
  return verdict.status;
}

}  // namespace gpusim::blas

using gpusim::blas::is_handle;
using gpusim::blas::kVersion;
using gpusim::blas::logger;

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  // Like the real library, this starts the runtime and thereby meets its errors.
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || cudaFree(nullptr) != cudaSuccess) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  *handle = new cublasLtContext{cublasLtContext::kMagic, device};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->magic = 0;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "unknown status";
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "an invalid value was used as an argument";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "an absent device architectural feature is required";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "an access to GPU memory space failed";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "an internal operation failed";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "the functionality is not supported";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "the functionality requested requires a license";
  }
  return "unknown status";
}

size_t cublasLtGetVersion() {
  return CUBLAS_VERSION;
}

size_t cublasLtGetCudartVersion() {
  return CUDART_VERSION;
}

cublasStatus_t cublasLtGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr || type < MAJOR_VERSION || type > PATCH_LEVEL) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  *value = kVersion[type];
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtHeuristicsCacheGetCapacity(size_t* capacity) {
  if (capacity == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *capacity = 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtHeuristicsCacheSetCapacity(size_t /*capacity*/) {
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtLoggerSetCallback(cublasLtLoggerCallback_t callback) {
  const std::lock_guard lock(logger().mutex);
  logger().callback = callback;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtLoggerSetFile(FILE* file) {
  const std::lock_guard lock(logger().mutex);
  logger().file = file;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtLoggerOpenFile(const char* name) {
  if (name == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  FILE* file = std::fopen(name, "a");
  return file == nullptr ? CUBLAS_STATUS_INVALID_VALUE : cublasLtLoggerSetFile(file);
}

cublasStatus_t cublasLtLoggerSetLevel(int level) {
  if (level < 0 || level > 5) return CUBLAS_STATUS_INVALID_VALUE;
  const std::lock_guard lock(logger().mutex);
  logger().level = level;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtLoggerSetMask(int mask) {
  const std::lock_guard lock(logger().mutex);
  logger().level = mask != 0 ? 1 : 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtLoggerForceDisable() {
  const std::lock_guard lock(logger().mutex);
  logger().disabled = true;
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
