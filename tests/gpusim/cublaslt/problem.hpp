// The checks of a cuBLASLt product before any pointer is looked at: types, shapes, leading
// dimensions, epilogue. What passes is a ProductCall that lacks only addresses.
#pragma once

#include <cublasLt.h>

#include <optional>
#include <string>

#include "cublaslt/call.hpp"
#include "cublaslt/objects.hpp"

namespace gpusim::blas {

/// A status and, where it is not success, why: for the log.
struct Verdict {
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  std::string reason;
  bool ok() const { return status == CUBLAS_STATUS_SUCCESS; }
};
inline Verdict invalid(std::string reason) {
  return {CUBLAS_STATUS_INVALID_VALUE, std::move(reason)};
}
inline Verdict unsupported(std::string reason) {
  return {CUBLAS_STATUS_NOT_SUPPORTED, std::move(reason)};
}

/// The element type of a cudaDataType, none where products cannot have it here.
std::optional<Element> element_of(std::int64_t cuda_type);

/// Whether products of these types exist; fills the arithmetic and the type of alpha and beta.
Verdict check_types(std::int64_t compute_type, std::int64_t scale_type, std::int64_t a,
                    std::int64_t b, std::int64_t c, std::int64_t d, ProductCall& call);

struct Layouts {
  const Layout *a, *b, *c, *d;
};
Verdict check_problem(const ProductDescription& description, const Layouts& layouts,
                      ProductCall& call);

/// Tells the logger, if any, and returns the status.
cublasStatus_t conclude(const char* function, const Verdict& verdict);

}  // namespace gpusim::blas
