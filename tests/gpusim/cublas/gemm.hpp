// The one path that all gemm functions of cuBLAS take.
#pragma once

#include <cublas_v2.h>

#include <cstdint>

namespace gpusim::blas {

struct GemmMatrix {
  const void* data;  ///< with `pointers` in GemmRequest: a device array of them
  cudaDataType type;
  std::int64_t leading;
  std::int64_t stride = 0;  ///< elements from batch to batch
};

struct GemmRequest {
  const char* name;
  cublasHandle_t handle;
  cublasOperation_t transpose_a, transpose_b;
  std::int64_t m, n, k;
  const void* alpha;
  GemmMatrix a, b;
  const void* beta;
  GemmMatrix c;
  cublasComputeType_t compute_type;
  std::int64_t batch = 1;
  bool pointers = false;
};

/// Checks everything that the library checks, and enqueues.
cublasStatus_t gemm(const GemmRequest& request);

}  // namespace gpusim::blas
