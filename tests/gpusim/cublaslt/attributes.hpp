// Attributes of descriptors by number: a table per kind says where each lies in the struct.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstring>
#include <span>

namespace gpusim::blas {

struct Attribute {
  int number;
  std::size_t offset;
  std::size_t bytes;
};

inline const Attribute* find_attribute(std::span<const Attribute> table, int number) {
  for (const Attribute& attribute : table) {
    if (attribute.number == number) return &attribute;
  }
  return nullptr;
}

/// As the library does: the size must be exact.
inline cublasStatus_t set_attribute(std::span<const Attribute> table, void* object, int number,
                                    const void* value, std::size_t bytes) {
  const Attribute* attribute = find_attribute(table, number);
  if (object == nullptr || attribute == nullptr || value == nullptr || bytes != attribute->bytes) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(static_cast<std::byte*>(object) + attribute->offset, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

/// With size 0 only the size is told; a buffer that is too small is refused.
inline cublasStatus_t get_attribute(std::span<const Attribute> table, const void* object,
                                    int number, void* value, std::size_t bytes,
                                    std::size_t* written) {
  const Attribute* attribute = find_attribute(table, number);
  if (object == nullptr || attribute == nullptr || (bytes == 0 && written == nullptr)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (written != nullptr) *written = attribute->bytes;
  if (bytes == 0) return CUBLAS_STATUS_SUCCESS;
  if (value == nullptr || bytes < attribute->bytes) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, static_cast<const std::byte*>(object) + attribute->offset, attribute->bytes);
  return CUBLAS_STATUS_SUCCESS;
}

/// Writes a value that is computed, with the same rules.
template <typename T>
cublasStatus_t give_value(const T& content, void* value, std::size_t bytes, std::size_t* written) {
  const Attribute whole{0, 0, sizeof(T)};
  return get_attribute({&whole, 1}, &content, 0, value, bytes, written);
}

}  // namespace gpusim::blas
