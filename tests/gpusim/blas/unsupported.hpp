// What the names of the real libraries do that are not simulated.
#pragma once

namespace gpusim::blas {

/// Prints the name, once each, and returns CUBLAS_STATUS_NOT_SUPPORTED.
int unsupported_call(const char* name);

}  // namespace gpusim::blas
