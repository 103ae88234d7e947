// Matrix times vector, rank-one updates and sums of matrices. The first two are products one of
// whose matrices is a single row or column with a step.
#include <algorithm>
#include <string>
#include <utility>

#include "cublas/handle.hpp"
#include "cublaslt/problem.hpp"
#include "cudart/internal.hpp"

namespace gpusim::blas {

namespace {

/// A vector as a matrix of one column.
Operand column_of(const Vector& vector) {
  Operand operand;
  operand.address = vector.address;
  operand.type = vector.type;
  operand.row_stride = vector.step;
  operand.column_stride = 0;
  return operand;
}
/// A vector as a matrix of one row.
Operand row_of(const Vector& vector) {
  Operand operand = column_of(vector);
  operand.row_stride = 1;
  operand.column_stride = vector.step;
  return operand;
}

Operand matrix_of(const void* data, Element type, std::int64_t leading, bool transposed) {
  Operand operand;
  operand.address = number(data);
  operand.type = type;
  operand.row_stride = transposed ? leading : 1;
  operand.column_stride = transposed ? 1 : leading;
  return operand;
}

template <typename T>
cublasStatus_t gemv(const char* name, cublasHandle_t handle, cublasOperation_t transpose,
                    std::int64_t m, std::int64_t n, const T* alpha, const T* a, std::int64_t lda,
                    std::int64_t stride_a, const T* x, std::int64_t incx, std::int64_t stride_x,
                    const T* beta, T* y, std::int64_t incy, std::int64_t stride_y,
                    std::int64_t batch) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!is_operation(transpose) || m < 0 || n < 0 || batch < 0 ||
      lda < std::max<std::int64_t>(1, m) || incx == 0 || incy == 0 || alpha == nullptr ||
      beta == nullptr) {
    return conclude(name, invalid("an argument is out of range"));
  }
  if (m == 0 || n == 0 || batch == 0) return CUBLAS_STATUS_SUCCESS;
  constexpr Element kType = element_type<T>();
  const bool transposed = is_transposed(transpose);
  ProductCall call;
  call.name = name;
  call.m = transposed ? n : m;
  call.n = 1;
  call.k = transposed ? m : n;
  call.batch = batch;
  call.arithmetic = kType == Element::kF64 ? Arithmetic::kF64 : Arithmetic::kF32;
  call.alpha = scale_of(handle, alpha, kType);
  call.beta = scale_of(handle, beta, kType);
  call.a = matrix_of(a, kType, lda, transposed);
  call.a.batch_stride = stride_a;
  call.b = column_of(Vector(x, kType, call.k, incx));
  call.b.batch_stride = stride_x;
  call.c = call.d = column_of(Vector(y, kType, call.m, incy));
  call.c.batch_stride = call.d.batch_stride = stride_y;
  return enqueue_product(handle->stream, call);
}

template <typename T>
cublasStatus_t ger(const char* name, cublasHandle_t handle, std::int64_t m, std::int64_t n,
                   const T* alpha, const T* x, std::int64_t incx, const T* y, std::int64_t incy,
                   T* a, std::int64_t lda) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (m < 0 || n < 0 || lda < std::max<std::int64_t>(1, m) || incx == 0 || incy == 0 ||
      alpha == nullptr) {
    return conclude(name, invalid("an argument is out of range"));
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  constexpr Element kType = element_type<T>();
  ProductCall call;
  call.name = name;
  call.m = m;
  call.n = n;
  call.k = 1;
  call.arithmetic = kType == Element::kF64 ? Arithmetic::kF64 : Arithmetic::kF32;
  call.alpha = scale_of(handle, alpha, kType);
  call.beta.value = 1;
  call.a = column_of(Vector(x, kType, m, incx));
  call.b = row_of(Vector(y, kType, n, incy));
  call.c = call.d = matrix_of(a, kType, lda, false);
  return enqueue_product(handle->stream, call);
}

/// C = alpha op(A) + beta op(B), by columns of C.
template <typename T>
cublasStatus_t geam(const char* name, cublasHandle_t handle, cublasOperation_t transpose_a,
                    cublasOperation_t transpose_b, std::int64_t m, std::int64_t n, const T* alpha,
                    const T* a, std::int64_t lda, const T* beta, const T* b, std::int64_t ldb, T* c,
                    std::int64_t ldc) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const std::int64_t rows_a = is_transposed(transpose_a) ? n : m;
  const std::int64_t rows_b = is_transposed(transpose_b) ? n : m;
  if (m < 0 || n < 0 || lda < std::max<std::int64_t>(1, rows_a) ||
      ldb < std::max<std::int64_t>(1, rows_b) || ldc < std::max<std::int64_t>(1, m) ||
      alpha == nullptr || beta == nullptr || (c == a && (lda != ldc || rows_a != m)) ||
      (c == b && (ldb != ldc || rows_b != m))) {
    return conclude(name, invalid("an argument is out of range"));
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  constexpr Element kType = element_type<T>();
  const Scale first = scale_of(handle, alpha, kType);
  const Scale second = scale_of(handle, beta, kType);
  const bool reads_a = first.address != 0 || first.value != 0;
  const bool reads_b = second.address != 0 || second.value != 0;
  const auto region = [](const char* what, const void* data, std::int64_t rows,
                         std::int64_t columns, std::int64_t leading, bool written) {
    return Region{.what = what,
                  .address = number(data),
                  .bytes = rows * size_of(kType),
                  .runs = columns,
                  .stride = leading * size_of(kType),
                  .written = written,
                  .alignment = alignment_of(kType)};
  };
  std::vector<Region> regions{region("C", c, m, n, ldc, true)};
  if (reads_a) regions.push_back(region("A", a, rows_a, rows_a == m ? n : m, lda, false));
  if (reads_b) regions.push_back(region("B", b, rows_b, rows_b == m ? n : m, ldb, false));
  for (const Scale& scale : {first, second}) {
    if (scale.address == 0) continue;
    regions.push_back({.what = "alpha or beta",
                       .address = scale.address,
                       .bytes = size_of(kType),
                       .alignment = alignment_of(kType)});
  }
  const auto value = [](const Scale& scale) {
    return scale.address == 0 ? scale.value
                              : load_element(host_address(scale.address), scale.type, 0);
  };
  const std::string detail = "m " + std::to_string(m) + " n " + std::to_string(n);
  return enqueue(handle->stream, name, detail, std::move(regions), [=] {
    const auto element = [](const std::byte* matrix, bool transposed, std::int64_t leading,
                            std::int64_t i, std::int64_t j) {
      return load_element(matrix, element_type<T>(),
                          transposed ? j + i * leading : i + j * leading);
    };
    const std::byte* memory_a = host_address(number(a));
    const std::byte* memory_b = host_address(number(b));
    std::byte* memory_c = host_address(number(c));
    const double factor_a = value(first), factor_b = value(second);
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < m; ++i) {
        double sum = 0;
        if (reads_a) sum += factor_a * element(memory_a, is_transposed(transpose_a), lda, i, j);
        if (reads_b) sum += factor_b * element(memory_b, is_transposed(transpose_b), ldb, i, j);
        store_element(memory_c, element_type<T>(), i + j * ldc, sum);
      }
    }
    return Fault::kNone;
  });
}

}  // namespace

}  // namespace gpusim::blas

namespace blas = gpusim::blas;

extern "C" {

cublasStatus_t cublasSgemv_v2(cublasHandle_t handle, cublasOperation_t trans, int m, int n,
                              const float* alpha, const float* a, int lda, const float* x, int incx,
                              const float* beta, float* y, int incy) {
  return blas::gemv("cublasSgemv_v2", handle, trans, m, n, alpha, a, lda, 0, x, incx, 0, beta, y,
                    incy, 0, 1);
}
cublasStatus_t cublasDgemv_v2(cublasHandle_t handle, cublasOperation_t trans, int m, int n,
                              const double* alpha, const double* a, int lda, const double* x,
                              int incx, const double* beta, double* y, int incy) {
  return blas::gemv("cublasDgemv_v2", handle, trans, m, n, alpha, a, lda, 0, x, incx, 0, beta, y,
                    incy, 0, 1);
}
cublasStatus_t cublasSgemv_v2_64(cublasHandle_t handle, cublasOperation_t trans, int64_t m,
                                 int64_t n, const float* alpha, const float* a, int64_t lda,
                                 const float* x, int64_t incx, const float* beta, float* y,
                                 int64_t incy) {
  return blas::gemv("cublasSgemv_v2_64", handle, trans, m, n, alpha, a, lda, 0, x, incx, 0, beta, y,
                    incy, 0, 1);
}
cublasStatus_t cublasDgemv_v2_64(cublasHandle_t handle, cublasOperation_t trans, int64_t m,
                                 int64_t n, const double* alpha, const double* a, int64_t lda,
                                 const double* x, int64_t incx, const double* beta, double* y,
                                 int64_t incy) {
  return blas::gemv("cublasDgemv_v2_64", handle, trans, m, n, alpha, a, lda, 0, x, incx, 0, beta, y,
                    incy, 0, 1);
}
cublasStatus_t cublasSgemvStridedBatched(cublasHandle_t handle, cublasOperation_t trans, int m,
                                         int n, const float* alpha, const float* a, int lda,
                                         long long int stride_a, const float* x, int incx,
                                         long long int stride_x, const float* beta, float* y,
                                         int incy, long long int stride_y, int batch) {
  return blas::gemv("cublasSgemvStridedBatched", handle, trans, m, n, alpha, a, lda, stride_a, x,
                    incx, stride_x, beta, y, incy, stride_y, batch);
}
cublasStatus_t cublasDgemvStridedBatched(cublasHandle_t handle, cublasOperation_t trans, int m,
                                         int n, const double* alpha, const double* a, int lda,
                                         long long int stride_a, const double* x, int incx,
                                         long long int stride_x, const double* beta, double* y,
                                         int incy, long long int stride_y, int batch) {
  return blas::gemv("cublasDgemvStridedBatched", handle, trans, m, n, alpha, a, lda, stride_a, x,
                    incx, stride_x, beta, y, incy, stride_y, batch);
}
cublasStatus_t cublasSger_v2(cublasHandle_t handle, int m, int n, const float* alpha,
                             const float* x, int incx, const float* y, int incy, float* a,
                             int lda) {
  return blas::ger("cublasSger_v2", handle, m, n, alpha, x, incx, y, incy, a, lda);
}
cublasStatus_t cublasDger_v2(cublasHandle_t handle, int m, int n, const double* alpha,
                             const double* x, int incx, const double* y, int incy, double* a,
                             int lda) {
  return blas::ger("cublasDger_v2", handle, m, n, alpha, x, incx, y, incy, a, lda);
}
cublasStatus_t cublasSgeam(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, const float* alpha,
                           const float* a, int lda, const float* beta, const float* b, int ldb,
                           float* c, int ldc) {
  return blas::geam("cublasSgeam", handle, transa, transb, m, n, alpha, a, lda, beta, b, ldb, c,
                    ldc);
}
cublasStatus_t cublasDgeam(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, const double* alpha,
                           const double* a, int lda, const double* beta, const double* b, int ldb,
                           double* c, int ldc) {
  return blas::geam("cublasDgeam", handle, transa, transb, m, n, alpha, a, lda, beta, b, ldb, c,
                    ldc);
}

}  // extern "C"
