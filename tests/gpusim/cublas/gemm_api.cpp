// The exported gemm functions: each only says which types and batches it has.
#include "cublas/gemm.hpp"

using gpusim::blas::gemm;

extern "C" {

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa,
                              cublasOperation_t transb, int m, int n, int k, const float* alpha,
                              const float* a, int lda, const float* b, int ldb, const float* beta,
                              float* c, int ldc) {
  return gemm({"cublasSgemm_v2",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_32F, lda},
               {b, CUDA_R_32F, ldb},
               beta,
               {c, CUDA_R_32F, ldc},
               CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa,
                                         cublasOperation_t transb, int m, int n, int k,
                                         const float* alpha, const float* a, int lda,
                                         long long int stride_a, const float* b, int ldb,
                                         long long int stride_b, const float* beta, float* c,
                                         int ldc, long long int stride_c, int batch) {
  return gemm({"cublasSgemmStridedBatched",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_32F, lda, stride_a},
               {b, CUDA_R_32F, ldb, stride_b},
               beta,
               {c, CUDA_R_32F, ldc, stride_c},
               CUBLAS_COMPUTE_32F,
               batch});
}

cublasStatus_t cublasSgemmBatched(cublasHandle_t handle, cublasOperation_t transa,
                                  cublasOperation_t transb, int m, int n, int k, const float* alpha,
                                  const float* const a[], int lda, const float* const b[], int ldb,
                                  const float* beta, float* const c[], int ldc, int batch) {
  return gemm({"cublasSgemmBatched",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_32F, lda},
               {b, CUDA_R_32F, ldb},
               beta,
               {c, CUDA_R_32F, ldc},
               CUBLAS_COMPUTE_32F,
               batch,
               true});
}

cublasStatus_t cublasDgemm_v2(cublasHandle_t handle, cublasOperation_t transa,
                              cublasOperation_t transb, int m, int n, int k, const double* alpha,
                              const double* a, int lda, const double* b, int ldb,
                              const double* beta, double* c, int ldc) {
  return gemm({"cublasDgemm_v2",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_64F, lda},
               {b, CUDA_R_64F, ldb},
               beta,
               {c, CUDA_R_64F, ldc},
               CUBLAS_COMPUTE_64F});
}

cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa,
                                         cublasOperation_t transb, int m, int n, int k,
                                         const double* alpha, const double* a, int lda,
                                         long long int stride_a, const double* b, int ldb,
                                         long long int stride_b, const double* beta, double* c,
                                         int ldc, long long int stride_c, int batch) {
  return gemm({"cublasDgemmStridedBatched",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_64F, lda, stride_a},
               {b, CUDA_R_64F, ldb, stride_b},
               beta,
               {c, CUDA_R_64F, ldc, stride_c},
               CUBLAS_COMPUTE_64F,
               batch});
}

cublasStatus_t cublasDgemmBatched(cublasHandle_t handle, cublasOperation_t transa,
                                  cublasOperation_t transb, int m, int n, int k,
                                  const double* alpha, const double* const a[], int lda,
                                  const double* const b[], int ldb, const double* beta,
                                  double* const c[], int ldc, int batch) {
  return gemm({"cublasDgemmBatched",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_64F, lda},
               {b, CUDA_R_64F, ldb},
               beta,
               {c, CUDA_R_64F, ldc},
               CUBLAS_COMPUTE_64F,
               batch,
               true});
}

cublasStatus_t cublasHgemm(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, int k, const __half* alpha,
                           const __half* a, int lda, const __half* b, int ldb, const __half* beta,
                           __half* c, int ldc) {
  return gemm({"cublasHgemm",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_16F, lda},
               {b, CUDA_R_16F, ldb},
               beta,
               {c, CUDA_R_16F, ldc},
               CUBLAS_COMPUTE_16F});
}

cublasStatus_t cublasHgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa,
                                         cublasOperation_t transb, int m, int n, int k,
                                         const __half* alpha, const __half* a, int lda,
                                         long long int stride_a, const __half* b, int ldb,
                                         long long int stride_b, const __half* beta, __half* c,
                                         int ldc, long long int stride_c, int batch) {
  return gemm({"cublasHgemmStridedBatched",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_16F, lda, stride_a},
               {b, CUDA_R_16F, ldb, stride_b},
               beta,
               {c, CUDA_R_16F, ldc, stride_c},
               CUBLAS_COMPUTE_16F,
               batch});
}

cublasStatus_t cublasHgemmBatched(cublasHandle_t handle, cublasOperation_t transa,
                                  cublasOperation_t transb, int m, int n, int k,
                                  const __half* alpha, const __half* const a[], int lda,
                                  const __half* const b[], int ldb, const __half* beta,
                                  __half* const c[], int ldc, int batch) {
  return gemm({"cublasHgemmBatched",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_16F, lda},
               {b, CUDA_R_16F, ldb},
               beta,
               {c, CUDA_R_16F, ldc},
               CUBLAS_COMPUTE_16F,
               batch,
               true});
}

cublasStatus_t cublasSgemmEx(cublasHandle_t handle, cublasOperation_t transa,
                             cublasOperation_t transb, int m, int n, int k, const float* alpha,
                             const void* a, cudaDataType a_type, int lda, const void* b,
                             cudaDataType b_type, int ldb, const float* beta, void* c,
                             cudaDataType c_type, int ldc) {
  return gemm({"cublasSgemmEx",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda},
               {b, b_type, ldb},
               beta,
               {c, c_type, ldc},
               CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa,
                            cublasOperation_t transb, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c,
                            cudaDataType c_type, int ldc, cublasComputeType_t compute_type,
                            cublasGemmAlgo_t /*algorithm*/) {
  return gemm({"cublasGemmEx",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda},
               {b, b_type, ldb},
               beta,
               {c, c_type, ldc},
               compute_type});
}

cublasStatus_t cublasGemmStridedBatchedEx(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n, int k,
    const void* alpha, const void* a, cudaDataType a_type, int lda, long long int stride_a,
    const void* b, cudaDataType b_type, int ldb, long long int stride_b, const void* beta, void* c,
    cudaDataType c_type, int ldc, long long int stride_c, int batch,
    cublasComputeType_t compute_type, cublasGemmAlgo_t /*algorithm*/) {
  return gemm({"cublasGemmStridedBatchedEx",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda, stride_a},
               {b, b_type, ldb, stride_b},
               beta,
               {c, c_type, ldc, stride_c},
               compute_type,
               batch});
}

cublasStatus_t cublasGemmBatchedEx(cublasHandle_t handle, cublasOperation_t transa,
                                   cublasOperation_t transb, int m, int n, int k, const void* alpha,
                                   const void* const a[], cudaDataType a_type, int lda,
                                   const void* const b[], cudaDataType b_type, int ldb,
                                   const void* beta, void* const c[], cudaDataType c_type, int ldc,
                                   int batch, cublasComputeType_t compute_type,
                                   cublasGemmAlgo_t /*algorithm*/) {
  return gemm({"cublasGemmBatchedEx",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda},
               {b, b_type, ldb},
               beta,
               {c, c_type, ldc},
               compute_type,
               batch,
               true});
}

cublasStatus_t cublasSgemm_v2_64(cublasHandle_t handle, cublasOperation_t transa,
                                 cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                 const float* alpha, const float* a, int64_t lda, const float* b,
                                 int64_t ldb, const float* beta, float* c, int64_t ldc) {
  return gemm({"cublasSgemm_v2_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_32F, lda},
               {b, CUDA_R_32F, ldb},
               beta,
               {c, CUDA_R_32F, ldc},
               CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasSgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                            cublasOperation_t transb, int64_t m, int64_t n,
                                            int64_t k, const float* alpha, const float* a,
                                            int64_t lda, long long int stride_a, const float* b,
                                            int64_t ldb, long long int stride_b, const float* beta,
                                            float* c, int64_t ldc, long long int stride_c,
                                            int64_t batch) {
  return gemm({"cublasSgemmStridedBatched_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_32F, lda, stride_a},
               {b, CUDA_R_32F, ldb, stride_b},
               beta,
               {c, CUDA_R_32F, ldc, stride_c},
               CUBLAS_COMPUTE_32F,
               batch});
}

cublasStatus_t cublasSgemmBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                     cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                     const float* alpha, const float* const a[], int64_t lda,
                                     const float* const b[], int64_t ldb, const float* beta,
                                     float* const c[], int64_t ldc, int64_t batch) {
  return gemm({"cublasSgemmBatched_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_32F, lda},
               {b, CUDA_R_32F, ldb},
               beta,
               {c, CUDA_R_32F, ldc},
               CUBLAS_COMPUTE_32F,
               batch,
               true});
}

cublasStatus_t cublasDgemm_v2_64(cublasHandle_t handle, cublasOperation_t transa,
                                 cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                 const double* alpha, const double* a, int64_t lda, const double* b,
                                 int64_t ldb, const double* beta, double* c, int64_t ldc) {
  return gemm({"cublasDgemm_v2_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_64F, lda},
               {b, CUDA_R_64F, ldb},
               beta,
               {c, CUDA_R_64F, ldc},
               CUBLAS_COMPUTE_64F});
}

cublasStatus_t cublasDgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                            cublasOperation_t transb, int64_t m, int64_t n,
                                            int64_t k, const double* alpha, const double* a,
                                            int64_t lda, long long int stride_a, const double* b,
                                            int64_t ldb, long long int stride_b, const double* beta,
                                            double* c, int64_t ldc, long long int stride_c,
                                            int64_t batch) {
  return gemm({"cublasDgemmStridedBatched_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_64F, lda, stride_a},
               {b, CUDA_R_64F, ldb, stride_b},
               beta,
               {c, CUDA_R_64F, ldc, stride_c},
               CUBLAS_COMPUTE_64F,
               batch});
}

cublasStatus_t cublasDgemmBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                     cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                     const double* alpha, const double* const a[], int64_t lda,
                                     const double* const b[], int64_t ldb, const double* beta,
                                     double* const c[], int64_t ldc, int64_t batch) {
  return gemm({"cublasDgemmBatched_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_64F, lda},
               {b, CUDA_R_64F, ldb},
               beta,
               {c, CUDA_R_64F, ldc},
               CUBLAS_COMPUTE_64F,
               batch,
               true});
}

cublasStatus_t cublasHgemm_64(cublasHandle_t handle, cublasOperation_t transa,
                              cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                              const __half* alpha, const __half* a, int64_t lda, const __half* b,
                              int64_t ldb, const __half* beta, __half* c, int64_t ldc) {
  return gemm({"cublasHgemm_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_16F, lda},
               {b, CUDA_R_16F, ldb},
               beta,
               {c, CUDA_R_16F, ldc},
               CUBLAS_COMPUTE_16F});
}

cublasStatus_t cublasHgemmStridedBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                            cublasOperation_t transb, int64_t m, int64_t n,
                                            int64_t k, const __half* alpha, const __half* a,
                                            int64_t lda, long long int stride_a, const __half* b,
                                            int64_t ldb, long long int stride_b, const __half* beta,
                                            __half* c, int64_t ldc, long long int stride_c,
                                            int64_t batch) {
  return gemm({"cublasHgemmStridedBatched_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_16F, lda, stride_a},
               {b, CUDA_R_16F, ldb, stride_b},
               beta,
               {c, CUDA_R_16F, ldc, stride_c},
               CUBLAS_COMPUTE_16F,
               batch});
}

cublasStatus_t cublasHgemmBatched_64(cublasHandle_t handle, cublasOperation_t transa,
                                     cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                     const __half* alpha, const __half* const a[], int64_t lda,
                                     const __half* const b[], int64_t ldb, const __half* beta,
                                     __half* const c[], int64_t ldc, int64_t batch) {
  return gemm({"cublasHgemmBatched_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, CUDA_R_16F, lda},
               {b, CUDA_R_16F, ldb},
               beta,
               {c, CUDA_R_16F, ldc},
               CUBLAS_COMPUTE_16F,
               batch,
               true});
}

cublasStatus_t cublasSgemmEx_64(cublasHandle_t handle, cublasOperation_t transa,
                                cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                const float* alpha, const void* a, cudaDataType a_type, int64_t lda,
                                const void* b, cudaDataType b_type, int64_t ldb, const float* beta,
                                void* c, cudaDataType c_type, int64_t ldc) {
  return gemm({"cublasSgemmEx_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda},
               {b, b_type, ldb},
               beta,
               {c, c_type, ldc},
               CUBLAS_COMPUTE_32F});
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t transa,
                               cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                               const void* alpha, const void* a, cudaDataType a_type, int64_t lda,
                               const void* b, cudaDataType b_type, int64_t ldb, const void* beta,
                               void* c, cudaDataType c_type, int64_t ldc,
                               cublasComputeType_t compute_type, cublasGemmAlgo_t /*algorithm*/) {
  return gemm({"cublasGemmEx_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda},
               {b, b_type, ldb},
               beta,
               {c, c_type, ldc},
               compute_type});
}

cublasStatus_t cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int64_t m, int64_t n,
    int64_t k, const void* alpha, const void* a, cudaDataType a_type, int64_t lda,
    long long int stride_a, const void* b, cudaDataType b_type, int64_t ldb, long long int stride_b,
    const void* beta, void* c, cudaDataType c_type, int64_t ldc, long long int stride_c,
    int64_t batch, cublasComputeType_t compute_type, cublasGemmAlgo_t /*algorithm*/) {
  return gemm({"cublasGemmStridedBatchedEx_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda, stride_a},
               {b, b_type, ldb, stride_b},
               beta,
               {c, c_type, ldc, stride_c},
               compute_type,
               batch});
}

cublasStatus_t cublasGemmBatchedEx_64(cublasHandle_t handle, cublasOperation_t transa,
                                      cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                                      const void* alpha, const void* const a[], cudaDataType a_type,
                                      int64_t lda, const void* const b[], cudaDataType b_type,
                                      int64_t ldb, const void* beta, void* const c[],
                                      cudaDataType c_type, int64_t ldc, int64_t batch,
                                      cublasComputeType_t compute_type,
                                      cublasGemmAlgo_t /*algorithm*/) {
  return gemm({"cublasGemmBatchedEx_64",
               handle,
               transa,
               transb,
               m,
               n,
               k,
               alpha,
               {a, a_type, lda},
               {b, b_type, ldb},
               beta,
               {c, c_type, ldc},
               compute_type,
               batch,
               true});
}

}  // extern "C"
