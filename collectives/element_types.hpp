// From an element type that is known when a job runs to the C++ type.
#pragma once

#include <cstdint>

#include "ops/tensor.hpp"

namespace ingot {

/// Calls `function.template operator()<T>()` for the C++ type of `type`.
template <typename Function>
void with_element_type(DType type, const Function& function) {
  switch (type) {
    case DType::kF32:
      return function.template operator()<float>();
    case DType::kBf16:
      return function.template operator()<Bf16>();
    case DType::kF64:
      return function.template operator()<double>();
    case DType::kU8:
      return function.template operator()<std::uint8_t>();
    case DType::kU16:
      return function.template operator()<std::uint16_t>();
    case DType::kI32:
      return function.template operator()<std::int32_t>();
    case DType::kU32:
      return function.template operator()<std::uint32_t>();
    case DType::kI64:
      return function.template operator()<std::int64_t>();
  }
}

}  // namespace ingot
