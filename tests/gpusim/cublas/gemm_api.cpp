// The exported gemm functions. cuBLAS has a C function for each element type, kind of batch and
// width of index; only a macro can spell such a family, so each kind of signature is one macro and
// each function one line below. What they do is gemm().
#include "cublas/gemm.hpp"

using gpusim::blas::gemm;

// What every signature begins with and every request repeats.
#define GPUSIM_SHAPE(INT) \
  cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, INT m, INT n, INT k
#define GPUSIM_REQUEST(NAME) #NAME, handle, transa, transb, m, n, k, alpha
// The operands of a request: matrices, or those at a stride from one another.
#define GPUSIM_OPERANDS(A, B, C, COMPUTE) {a, A, lda}, {b, B, ldb}, beta, {c, C, ldc}, COMPUTE
#define GPUSIM_STRIDED_OPERANDS(A, B, C, COMPUTE) \
  {a, A, lda, stride_a}, {b, B, ldb, stride_b}, beta, {c, C, ldc, stride_c}, COMPUTE, batch

// One product of matrices of T.
#define GPUSIM_GEMM(NAME, INT, T, TYPE, COMPUTE)                                                   \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const T* alpha, const T* a, INT lda, const T* b, INT ldb, \
                      const T* beta, T* c, INT ldc) {                                              \
    return gemm({GPUSIM_REQUEST(NAME), GPUSIM_OPERANDS(TYPE, TYPE, TYPE, COMPUTE)});               \
  }

// Matrices of T at a stride from one another.
#define GPUSIM_GEMM_STRIDED(NAME, INT, T, TYPE, COMPUTE)                                     \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const T* alpha, const T* a, INT lda,                \
                      long long int stride_a, const T* b, INT ldb, long long int stride_b,   \
                      const T* beta, T* c, INT ldc, long long int stride_c, INT batch) {     \
    return gemm({GPUSIM_REQUEST(NAME), GPUSIM_STRIDED_OPERANDS(TYPE, TYPE, TYPE, COMPUTE)}); \
  }

// Matrices of T behind arrays of pointers.
#define GPUSIM_GEMM_BATCHED(NAME, INT, T, TYPE, COMPUTE)                                          \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const T* alpha, const T* const a[], INT lda,             \
                      const T* const b[], INT ldb, const T* beta, T* const c[], INT ldc,          \
                      INT batch) {                                                                \
    return gemm({GPUSIM_REQUEST(NAME), GPUSIM_OPERANDS(TYPE, TYPE, TYPE, COMPUTE), batch, true}); \
  }

// The same three with types given by the caller; the algorithm asked for makes no difference here.
#define GPUSIM_GEMM_EX(NAME, INT)                                                               \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const void* alpha, const void* a, cudaDataType a_type, \
                      INT lda, const void* b, cudaDataType b_type, INT ldb, const void* beta,   \
                      void* c, cudaDataType c_type, INT ldc, cublasComputeType_t compute_type,  \
                      cublasGemmAlgo_t /*algorithm*/) {                                         \
    return gemm({GPUSIM_REQUEST(NAME), GPUSIM_OPERANDS(a_type, b_type, c_type, compute_type)}); \
  }
#define GPUSIM_GEMM_STRIDED_EX(NAME, INT)                                                       \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const void* alpha, const void* a, cudaDataType a_type, \
                      INT lda, long long int stride_a, const void* b, cudaDataType b_type,      \
                      INT ldb, long long int stride_b, const void* beta, void* c,               \
                      cudaDataType c_type, INT ldc, long long int stride_c, INT batch,          \
                      cublasComputeType_t compute_type, cublasGemmAlgo_t /*algorithm*/) {       \
    return gemm(                                                                                \
        {GPUSIM_REQUEST(NAME), GPUSIM_STRIDED_OPERANDS(a_type, b_type, c_type, compute_type)}); \
  }
#define GPUSIM_GEMM_BATCHED_EX(NAME, INT)                                                       \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const void* alpha, const void* const a[],              \
                      cudaDataType a_type, INT lda, const void* const b[], cudaDataType b_type, \
                      INT ldb, const void* beta, void* const c[], cudaDataType c_type, INT ldc, \
                      INT batch, cublasComputeType_t compute_type,                              \
                      cublasGemmAlgo_t /*algorithm*/) {                                         \
    return gemm({GPUSIM_REQUEST(NAME), GPUSIM_OPERANDS(a_type, b_type, c_type, compute_type),   \
                 batch, true});                                                                 \
  }
// f32 arithmetic on matrices of types given by the caller.
#define GPUSIM_SGEMM_EX(NAME, INT)                                                               \
  cublasStatus_t NAME(GPUSIM_SHAPE(INT), const float* alpha, const void* a, cudaDataType a_type, \
                      INT lda, const void* b, cudaDataType b_type, INT ldb, const float* beta,   \
                      void* c, cudaDataType c_type, INT ldc) {                                   \
    return gemm(                                                                                 \
        {GPUSIM_REQUEST(NAME), GPUSIM_OPERANDS(a_type, b_type, c_type, CUBLAS_COMPUTE_32F)});    \
  }

extern "C" {

// clang-format off
GPUSIM_GEMM(cublasSgemm_v2, int, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GPUSIM_GEMM(cublasDgemm_v2, int, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GPUSIM_GEMM(cublasHgemm, int, __half, CUDA_R_16F, CUBLAS_COMPUTE_16F)
GPUSIM_GEMM_STRIDED(cublasSgemmStridedBatched, int, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GPUSIM_GEMM_STRIDED(cublasDgemmStridedBatched, int, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GPUSIM_GEMM_STRIDED(cublasHgemmStridedBatched, int, __half, CUDA_R_16F, CUBLAS_COMPUTE_16F)
GPUSIM_GEMM_BATCHED(cublasSgemmBatched, int, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GPUSIM_GEMM_BATCHED(cublasDgemmBatched, int, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GPUSIM_GEMM_BATCHED(cublasHgemmBatched, int, __half, CUDA_R_16F, CUBLAS_COMPUTE_16F)
GPUSIM_SGEMM_EX(cublasSgemmEx, int)
GPUSIM_GEMM_EX(cublasGemmEx, int)
GPUSIM_GEMM_STRIDED_EX(cublasGemmStridedBatchedEx, int)
GPUSIM_GEMM_BATCHED_EX(cublasGemmBatchedEx, int)

GPUSIM_GEMM(cublasSgemm_v2_64, int64_t, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GPUSIM_GEMM(cublasDgemm_v2_64, int64_t, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GPUSIM_GEMM(cublasHgemm_64, int64_t, __half, CUDA_R_16F, CUBLAS_COMPUTE_16F)
GPUSIM_GEMM_STRIDED(cublasSgemmStridedBatched_64, int64_t, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GPUSIM_GEMM_STRIDED(cublasDgemmStridedBatched_64, int64_t, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GPUSIM_GEMM_STRIDED(cublasHgemmStridedBatched_64, int64_t, __half, CUDA_R_16F, CUBLAS_COMPUTE_16F)
GPUSIM_GEMM_BATCHED(cublasSgemmBatched_64, int64_t, float, CUDA_R_32F, CUBLAS_COMPUTE_32F)
GPUSIM_GEMM_BATCHED(cublasDgemmBatched_64, int64_t, double, CUDA_R_64F, CUBLAS_COMPUTE_64F)
GPUSIM_GEMM_BATCHED(cublasHgemmBatched_64, int64_t, __half, CUDA_R_16F, CUBLAS_COMPUTE_16F)
GPUSIM_SGEMM_EX(cublasSgemmEx_64, int64_t)
GPUSIM_GEMM_EX(cublasGemmEx_64, int64_t)
GPUSIM_GEMM_STRIDED_EX(cublasGemmStridedBatchedEx_64, int64_t)
GPUSIM_GEMM_BATCHED_EX(cublasGemmBatchedEx_64, int64_t)
// clang-format on

}  // extern "C"
