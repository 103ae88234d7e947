// Handles, modes, versions and copies of cuBLAS.
#include <cublasLt.h>

#include <cstdio>

#include "cublas/handle.hpp"

using gpusim::blas::is_handle;

namespace {

cublasStatus_t status_of(cudaError_t error) {
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_MAPPING_ERROR;
}

cublasLogCallback& log_callback() {
  static cublasLogCallback callback = nullptr;
  return callback;
}

/// rows x columns elements between two matrices with leading dimensions, on host and device.
cublasStatus_t copy_matrix(std::int64_t rows, std::int64_t columns, std::int64_t element,
                           const void* from, std::int64_t from_leading, void* to,
                           std::int64_t to_leading, bool asynchronous, cudaStream_t stream) {
  if (rows < 0 || columns < 0 || element <= 0 || from_leading < rows || to_leading < rows ||
      from_leading <= 0 || to_leading <= 0) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (rows == 0 || columns == 0) return CUBLAS_STATUS_SUCCESS;
  const auto bytes = [element](std::int64_t count) {
    return static_cast<std::size_t>(count * element);
  };
  if (asynchronous) {
    return status_of(cudaMemcpy2DAsync(to, bytes(to_leading), from, bytes(from_leading),
                                       bytes(rows), static_cast<std::size_t>(columns),
                                       cudaMemcpyDefault, stream));
  }
  return status_of(cudaMemcpy2D(to, bytes(to_leading), from, bytes(from_leading), bytes(rows),
                                static_cast<std::size_t>(columns), cudaMemcpyDefault));
}

/// A vector with a step is a matrix of one row.
cublasStatus_t copy_vector(std::int64_t count, std::int64_t element, const void* from,
                           std::int64_t from_step, void* to, std::int64_t to_step,
                           bool asynchronous, cudaStream_t stream) {
  if (from_step <= 0 || to_step <= 0) return CUBLAS_STATUS_INVALID_VALUE;
  return copy_matrix(1, count, element, from, from_step, to, to_step, asynchronous, stream);
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || cudaFree(nullptr) != cudaSuccess) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  *handle = new cublasContext{};
  (*handle)->device = device;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->magic = 0;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t /*handle*/, int* version) {
  if (version == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  return cublasLtGetProperty(type, value);
}

size_t cublasGetCudartVersion() {
  return CUDART_VERSION;
}

const char* cublasGetStatusName(cublasStatus_t status) {
  return cublasLtGetStatusName(status);
}

const char* cublasGetStatusString(cublasStatus_t status) {
  return cublasLtGetStatusString(status);
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (stream == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

/// No function here needs one; it is checked as the library does.
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const bool aligned = gpusim::blas::number(workspace) % 256 == 0;
  return aligned && (workspace != nullptr || bytes == 0) ? CUBLAS_STATUS_SUCCESS
                                                         : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode != CUBLAS_POINTER_MODE_HOST && mode != CUBLAS_POINTER_MODE_DEVICE) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  handle->pointer_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t* mode) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *mode = handle->pointer_mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->atomics_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t* mode) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *mode = handle->atomics_mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const int kind = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  if (kind < CUBLAS_DEFAULT_MATH ||
      (kind > CUBLAS_FP32_EMULATED_BF16X9_MATH && kind != CUBLAS_FP64_EMULATED_FIXEDPOINT_MATH)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  handle->math_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (mode == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *mode = handle->math_mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetSmCountTarget(cublasHandle_t handle, int target) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (target < 0) return CUBLAS_STATUS_INVALID_VALUE;
  handle->multiprocessor_target = target;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetSmCountTarget(cublasHandle_t handle, int* target) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (target == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *target = handle->multiprocessor_target;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLoggerConfigure(int /*on*/, int /*to_stdout*/, int /*to_stderr*/,
                                     const char* /*file*/) {
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetLoggerCallback(cublasLogCallback callback) {
  log_callback() = callback;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetLoggerCallback(cublasLogCallback* callback) {
  if (callback == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *callback = log_callback();
  return CUBLAS_STATUS_SUCCESS;
}

void cublasXerbla(const char* name, int parameter) {
  std::fprintf(stderr, "On entry to %s parameter number %d had an illegal value\n", name,
               parameter);
}

// ---- copies
// --------------------------------------------------------------------------------------

cublasStatus_t cublasSetVector(int n, int size, const void* x, int incx, void* y, int incy) {
  return copy_vector(n, size, x, incx, y, incy, false, nullptr);
}
cublasStatus_t cublasGetVector(int n, int size, const void* x, int incx, void* y, int incy) {
  return copy_vector(n, size, x, incx, y, incy, false, nullptr);
}
cublasStatus_t cublasSetVector_64(int64_t n, int64_t size, const void* x, int64_t incx, void* y,
                                  int64_t incy) {
  return copy_vector(n, size, x, incx, y, incy, false, nullptr);
}
cublasStatus_t cublasGetVector_64(int64_t n, int64_t size, const void* x, int64_t incx, void* y,
                                  int64_t incy) {
  return copy_vector(n, size, x, incx, y, incy, false, nullptr);
}
cublasStatus_t cublasSetVectorAsync(int n, int size, const void* x, int incx, void* y, int incy,
                                    cudaStream_t stream) {
  return copy_vector(n, size, x, incx, y, incy, true, stream);
}
cublasStatus_t cublasGetVectorAsync(int n, int size, const void* x, int incx, void* y, int incy,
                                    cudaStream_t stream) {
  return copy_vector(n, size, x, incx, y, incy, true, stream);
}
cublasStatus_t cublasSetMatrix(int rows, int cols, int size, const void* a, int lda, void* b,
                               int ldb) {
  return copy_matrix(rows, cols, size, a, lda, b, ldb, false, nullptr);
}
cublasStatus_t cublasGetMatrix(int rows, int cols, int size, const void* a, int lda, void* b,
                               int ldb) {
  return copy_matrix(rows, cols, size, a, lda, b, ldb, false, nullptr);
}
cublasStatus_t cublasSetMatrix_64(int64_t rows, int64_t cols, int64_t size, const void* a,
                                  int64_t lda, void* b, int64_t ldb) {
  return copy_matrix(rows, cols, size, a, lda, b, ldb, false, nullptr);
}
cublasStatus_t cublasGetMatrix_64(int64_t rows, int64_t cols, int64_t size, const void* a,
                                  int64_t lda, void* b, int64_t ldb) {
  return copy_matrix(rows, cols, size, a, lda, b, ldb, false, nullptr);
}
cublasStatus_t cublasSetMatrixAsync(int rows, int cols, int size, const void* a, int lda, void* b,
                                    int ldb, cudaStream_t stream) {
  return copy_matrix(rows, cols, size, a, lda, b, ldb, true, stream);
}
cublasStatus_t cublasGetMatrixAsync(int rows, int cols, int size, const void* a, int lda, void* b,
                                    int ldb, cudaStream_t stream) {
  return copy_matrix(rows, cols, size, a, lda, b, ldb, true, stream);
}

}  // extern "C"
