// Vector functions in f32 and f64. Sums are taken in double, in order.
#include <cmath>
#include <string>
#include <utility>

#include "cublas/handle.hpp"
#include "cublaslt/problem.hpp"
#include "cudart/internal.hpp"

namespace gpusim::blas {

namespace {

/// A vector while work runs: where its elements lie.
class Elements {
 public:
  explicit Elements(const Vector& vector)
      : first_(host_address(vector.address)), type_(vector.type), step_(vector.step) {}
  double get(std::int64_t i) const { return load_element(first_, type_, i * step_); }
  void put(std::int64_t i, double value) const { store_element(first_, type_, i * step_, value); }

 private:
  std::byte* first_;
  Element type_;
  std::int64_t step_;
};

double get(const Scale& scale) {
  return scale.address == 0 ? scale.value
                            : load_element(host_address(scale.address), scale.type, 0);
}

void add_scale(const char* what, const Scale& scale, std::vector<Region>& regions) {
  if (scale.address == 0) return;
  regions.push_back({.what = what,
                     .address = scale.address,
                     .bytes = size_of(scale.type),
                     .alignment = alignment_of(scale.type)});
}

std::string shape(std::int64_t n) {
  return "n " + std::to_string(n);
}

/// Products of f32 are rounded to f32 before they are added, as the f32 units do.
template <typename T>
double fused(double a, double x, double y) {
  return static_cast<double>(std::fma(static_cast<T>(a), static_cast<T>(x), static_cast<T>(y)));
}

template <typename T>
cublasStatus_t axpy(const char* name, cublasHandle_t handle, std::int64_t n, const T* alpha,
                    const T* x, std::int64_t incx, T* y, std::int64_t incy) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (alpha == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (n <= 0) return CUBLAS_STATUS_SUCCESS;
  const Scale scale = scale_of(handle, alpha, element_type<T>());
  const Vector from(x, element_type<T>(), n, incx);
  const Vector to(y, element_type<T>(), n, incy);
  std::vector<Region> regions{from.region("x", false), to.region("y", false), to.region("y", true)};
  add_scale("alpha", scale, regions);
  return enqueue(handle->stream, name, shape(n), std::move(regions), [=] {
    const Elements from_elements(from);
    const Elements to_elements(to);
    const double a = get(scale);
    for (std::int64_t i = 0; i < n; ++i)
      to_elements.put(i, fused<T>(a, from_elements.get(i), to_elements.get(i)));
    return Fault::kNone;
  });
}

template <typename T>
cublasStatus_t scal(const char* name, cublasHandle_t handle, std::int64_t n, const T* alpha, T* x,
                    std::int64_t incx) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (alpha == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (n <= 0 || incx <= 0) return CUBLAS_STATUS_SUCCESS;
  const Scale scale = scale_of(handle, alpha, element_type<T>());
  const Vector vector(x, element_type<T>(), n, incx);
  std::vector<Region> regions{vector.region("x", false), vector.region("x", true)};
  add_scale("alpha", scale, regions);
  return enqueue(handle->stream, name, shape(n), std::move(regions), [=] {
    const Elements vector_elements(vector);
    const double a = get(scale);
    for (std::int64_t i = 0; i < n; ++i) vector_elements.put(i, a * vector_elements.get(i));
    return Fault::kNone;
  });
}

template <typename T>
cublasStatus_t copy(const char* name, cublasHandle_t handle, std::int64_t n, const T* x,
                    std::int64_t incx, T* y, std::int64_t incy) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (n <= 0) return CUBLAS_STATUS_SUCCESS;
  const Vector from(x, element_type<T>(), n, incx);
  const Vector to(y, element_type<T>(), n, incy);
  return enqueue(handle->stream, name, shape(n), {from.region("x", false), to.region("y", true)},
                 [=] {
                   const Elements from_elements(from);
                   const Elements to_elements(to);
                   for (std::int64_t i = 0; i < n; ++i) to_elements.put(i, from_elements.get(i));
                   return Fault::kNone;
                 });
}

template <typename T>
cublasStatus_t swap(const char* name, cublasHandle_t handle, std::int64_t n, T* x,
                    std::int64_t incx, T* y, std::int64_t incy) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (n <= 0) return CUBLAS_STATUS_SUCCESS;
  const Vector first(x, element_type<T>(), n, incx);
  const Vector second(y, element_type<T>(), n, incy);
  return enqueue(handle->stream, name, shape(n),
                 {first.region("x", false), second.region("y", false), first.region("x", true),
                  second.region("y", true)},
                 [=] {
                   const Elements first_elements(first);
                   const Elements second_elements(second);
                   for (std::int64_t i = 0; i < n; ++i) {
                     const double kept = first_elements.get(i);
                     first_elements.put(i, second_elements.get(i));
                     second_elements.put(i, kept);
                   }
                   return Fault::kNone;
                 });
}

/// A function of vectors to one value: on the host, the call waits for it.
template <typename Result, typename Reduce>
cublasStatus_t reduce(const char* name, cublasHandle_t handle, std::int64_t n,
                      const std::vector<Vector>& vectors, Result* result, Reduce function) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (result == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  std::vector<Region> regions;
  for (const Vector& vector : vectors) {
    if (n > 0) regions.push_back(vector.region(regions.empty() ? "x" : "y", false));
  }
  const bool on_device = handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
  if (on_device) {
    regions.push_back({.what = "result",
                       .address = number(result),
                       .bytes = sizeof(Result),
                       .written = true,
                       .alignment = sizeof(Result)});
  } else if (cudart::is_capturing(handle->stream)) {
    return conclude(name, unsupported("a result on the host while the stream is captured"));
  }
  const cublasStatus_t status = enqueue(handle->stream, name, shape(n), std::move(regions), [=] {
    auto* place = on_device ? reinterpret_cast<Result*>(host_address(number(result))) : result;
    *place = static_cast<Result>(function());
    return Fault::kNone;
  });
  if (status != CUBLAS_STATUS_SUCCESS || on_device) return status;
  return cudaStreamSynchronize(handle->stream) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                              : CUBLAS_STATUS_EXECUTION_FAILED;
}

template <typename T>
cublasStatus_t dot(const char* name, cublasHandle_t handle, std::int64_t n, const T* x,
                   std::int64_t incx, const T* y, std::int64_t incy, T* result) {
  const Vector first(x, element_type<T>(), n, incx);
  const Vector second(y, element_type<T>(), n, incy);
  return reduce(name, handle, n, {first, second}, result, [=] {
    const Elements first_elements(first);
    const Elements second_elements(second);
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += first_elements.get(i) * second_elements.get(i);
    return sum;
  });
}

template <typename T>
cublasStatus_t nrm2(const char* name, cublasHandle_t handle, std::int64_t n, const T* x,
                    std::int64_t incx, T* result) {
  const std::int64_t count = incx <= 0 ? 0 : n;
  const Vector vector(x, element_type<T>(), count, incx);
  return reduce(name, handle, count, {vector}, result, [=] {
    const Elements vector_elements(vector);
    double norm = 0;
    for (std::int64_t i = 0; i < count; ++i) norm = std::hypot(norm, vector_elements.get(i));
    return norm;
  });
}

template <typename T>
cublasStatus_t asum(const char* name, cublasHandle_t handle, std::int64_t n, const T* x,
                    std::int64_t incx, T* result) {
  const std::int64_t count = incx <= 0 ? 0 : n;
  const Vector vector(x, element_type<T>(), count, incx);
  return reduce(name, handle, count, {vector}, result, [=] {
    const Elements vector_elements(vector);
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += std::abs(vector_elements.get(i));
    return sum;
  });
}

/// Index from 1 of the first element of greatest (sign 1) or least (sign -1) magnitude.
template <typename T>
cublasStatus_t extreme(const char* name, cublasHandle_t handle, std::int64_t n, const T* x,
                       std::int64_t incx, int* result, double sign) {
  const std::int64_t count = incx <= 0 ? 0 : n;
  const Vector vector(x, element_type<T>(), count, incx);
  return reduce(name, handle, count, {vector}, result, [=] {
    const Elements vector_elements(vector);
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < count; ++i) {
      if (sign * std::abs(vector_elements.get(i)) > sign * std::abs(vector_elements.get(best)))
        best = i;
    }
    return count <= 0 ? 0 : best + 1;
  });
}

template <typename T>
cublasStatus_t rot(const char* name, cublasHandle_t handle, std::int64_t n, T* x, std::int64_t incx,
                   T* y, std::int64_t incy, const T* c, const T* s) {
  if (!is_handle(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (c == nullptr || s == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  if (n <= 0) return CUBLAS_STATUS_SUCCESS;
  const Scale cosine = scale_of(handle, c, element_type<T>());
  const Scale sine = scale_of(handle, s, element_type<T>());
  const Vector first(x, element_type<T>(), n, incx);
  const Vector second(y, element_type<T>(), n, incy);
  std::vector<Region> regions{first.region("x", false), second.region("y", false),
                              first.region("x", true), second.region("y", true)};
  add_scale("c", cosine, regions);
  add_scale("s", sine, regions);
  return enqueue(handle->stream, name, shape(n), std::move(regions), [=] {
    const Elements first_elements(first);
    const Elements second_elements(second);
    for (std::int64_t i = 0; i < n; ++i) {
      const double a = first_elements.get(i), b = second_elements.get(i);
      first_elements.put(i, get(cosine) * a + get(sine) * b);
      second_elements.put(i, get(cosine) * b - get(sine) * a);
    }
    return Fault::kNone;
  });
}

}  // namespace

}  // namespace gpusim::blas

namespace blas = gpusim::blas;

extern "C" {

cublasStatus_t cublasSaxpy_v2(cublasHandle_t handle, int n, const float* alpha, const float* x,
                              int incx, float* y, int incy) {
  return blas::axpy("cublasSaxpy_v2", handle, n, alpha, x, incx, y, incy);
}
cublasStatus_t cublasDaxpy_v2(cublasHandle_t handle, int n, const double* alpha, const double* x,
                              int incx, double* y, int incy) {
  return blas::axpy("cublasDaxpy_v2", handle, n, alpha, x, incx, y, incy);
}
cublasStatus_t cublasSscal_v2(cublasHandle_t handle, int n, const float* alpha, float* x,
                              int incx) {
  return blas::scal("cublasSscal_v2", handle, n, alpha, x, incx);
}
cublasStatus_t cublasDscal_v2(cublasHandle_t handle, int n, const double* alpha, double* x,
                              int incx) {
  return blas::scal("cublasDscal_v2", handle, n, alpha, x, incx);
}
cublasStatus_t cublasScopy_v2(cublasHandle_t handle, int n, const float* x, int incx, float* y,
                              int incy) {
  return blas::copy("cublasScopy_v2", handle, n, x, incx, y, incy);
}
cublasStatus_t cublasDcopy_v2(cublasHandle_t handle, int n, const double* x, int incx, double* y,
                              int incy) {
  return blas::copy("cublasDcopy_v2", handle, n, x, incx, y, incy);
}
cublasStatus_t cublasSswap_v2(cublasHandle_t handle, int n, float* x, int incx, float* y,
                              int incy) {
  return blas::swap("cublasSswap_v2", handle, n, x, incx, y, incy);
}
cublasStatus_t cublasDswap_v2(cublasHandle_t handle, int n, double* x, int incx, double* y,
                              int incy) {
  return blas::swap("cublasDswap_v2", handle, n, x, incx, y, incy);
}
cublasStatus_t cublasSdot_v2(cublasHandle_t handle, int n, const float* x, int incx, const float* y,
                             int incy, float* result) {
  return blas::dot("cublasSdot_v2", handle, n, x, incx, y, incy, result);
}
cublasStatus_t cublasDdot_v2(cublasHandle_t handle, int n, const double* x, int incx,
                             const double* y, int incy, double* result) {
  return blas::dot("cublasDdot_v2", handle, n, x, incx, y, incy, result);
}
cublasStatus_t cublasSnrm2_v2(cublasHandle_t handle, int n, const float* x, int incx,
                              float* result) {
  return blas::nrm2("cublasSnrm2_v2", handle, n, x, incx, result);
}
cublasStatus_t cublasDnrm2_v2(cublasHandle_t handle, int n, const double* x, int incx,
                              double* result) {
  return blas::nrm2("cublasDnrm2_v2", handle, n, x, incx, result);
}
cublasStatus_t cublasSasum_v2(cublasHandle_t handle, int n, const float* x, int incx,
                              float* result) {
  return blas::asum("cublasSasum_v2", handle, n, x, incx, result);
}
cublasStatus_t cublasDasum_v2(cublasHandle_t handle, int n, const double* x, int incx,
                              double* result) {
  return blas::asum("cublasDasum_v2", handle, n, x, incx, result);
}
cublasStatus_t cublasIsamax_v2(cublasHandle_t handle, int n, const float* x, int incx,
                               int* result) {
  return blas::extreme("cublasIsamax_v2", handle, n, x, incx, result, 1);
}
cublasStatus_t cublasIdamax_v2(cublasHandle_t handle, int n, const double* x, int incx,
                               int* result) {
  return blas::extreme("cublasIdamax_v2", handle, n, x, incx, result, 1);
}
cublasStatus_t cublasIsamin_v2(cublasHandle_t handle, int n, const float* x, int incx,
                               int* result) {
  return blas::extreme("cublasIsamin_v2", handle, n, x, incx, result, -1);
}
cublasStatus_t cublasIdamin_v2(cublasHandle_t handle, int n, const double* x, int incx,
                               int* result) {
  return blas::extreme("cublasIdamin_v2", handle, n, x, incx, result, -1);
}
cublasStatus_t cublasSrot_v2(cublasHandle_t handle, int n, float* x, int incx, float* y, int incy,
                             const float* c, const float* s) {
  return blas::rot("cublasSrot_v2", handle, n, x, incx, y, incy, c, s);
}
cublasStatus_t cublasDrot_v2(cublasHandle_t handle, int n, double* x, int incx, double* y, int incy,
                             const double* c, const double* s) {
  return blas::rot("cublasDrot_v2", handle, n, x, incx, y, incy, c, s);
}

}  // extern "C"
