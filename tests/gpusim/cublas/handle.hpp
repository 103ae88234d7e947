// The handle of cuBLAS, and what its functions share when they check arguments.
#pragma once

#include <cublas_v2.h>

#include <cstdint>
#include <string>

#include "cublaslt/call.hpp"

/// What a cublasHandle_t points to. It belongs to the device that was current at its creation.
struct cublasContext {
  static constexpr std::uint32_t kMagic = 0x67736362;
  std::uint32_t magic = kMagic;
  int device = 0;
  cudaStream_t stream = nullptr;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
  cublasAtomicsMode_t atomics_mode = CUBLAS_ATOMICS_NOT_ALLOWED;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
  int multiprocessor_target = 0;
};

namespace gpusim::blas {

inline bool is_handle(const cublasContext* handle) {
  return handle != nullptr && handle->magic == cublasContext::kMagic;
}

inline std::uint64_t number(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

/// A factor as the pointer mode says.
inline Scale scale_of(const cublasContext* handle, const void* pointer, Element type) {
  Scale scale;
  scale.type = type;
  if (handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE) {
    scale.address = number(pointer);
  } else {
    scale.value = load_element(static_cast<const std::byte*>(pointer), type, 0);
  }
  return scale;
}

inline bool is_transposed(cublasOperation_t operation) {
  return operation != CUBLAS_OP_N;
}
inline bool is_operation(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C;
}

template <typename T>
constexpr Element element_type() {
  return sizeof(T) == 8 ? Element::kF64 : Element::kF32;
}

/// A vector with a step; a negative one runs from the end, as in BLAS.
struct Vector {
  Vector(const void* data, Element element, std::int64_t elements, std::int64_t distance)
      : address(number(data)), type(element), count(elements), step(distance) {
    if (step < 0) address += static_cast<std::uint64_t>((1 - count) * step * size_of(type));
  }
  Region region(const char* what, bool written) const {
    const std::int64_t runs = step == 0 ? 1 : count;
    return {.what = what,
            .address = address,
            .bytes = size_of(type),
            .runs = runs,
            .stride = step * size_of(type),
            .written = written,
            .alignment = alignment_of(type)};
  }

  std::uint64_t address;  ///< of element 0
  Element type;
  std::int64_t count, step;
};

}  // namespace gpusim::blas
