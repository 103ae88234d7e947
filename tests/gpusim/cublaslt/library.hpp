// The handle of cuBLASLt.
#pragma once

#include <cublasLt.h>

#include <cstdint>

/// What a cublasLtHandle_t points to. It belongs to the device that was current at its creation.
struct cublasLtContext {
  static constexpr std::uint32_t kMagic = 0x67736c74;
  std::uint32_t magic = kMagic;
  int device = 0;
};

namespace gpusim::blas {

inline bool is_handle(const cublasLtContext* handle) {
  return handle != nullptr && handle->magic == cublasLtContext::kMagic;
}

}  // namespace gpusim::blas
