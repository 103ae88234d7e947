// bfloat16 as a storage type: the upper half of an IEEE float32. Arithmetic is done in float32;
// SIMD kernels convert whole vectors themselves, this type serves scalar code and tests.
#pragma once

#include <bit>
#include <cstdint>

namespace ingot {

struct Bf16 {
  std::uint16_t bits = 0;

  Bf16() = default;
  /// Rounds to nearest, ties to even; NaN stays NaN (quiet).
  explicit Bf16(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    if ((word & 0x7fffffffU) > 0x7f800000U) {
      bits = static_cast<std::uint16_t>((word >> 16) | 0x40U);
    } else {
      bits = static_cast<std::uint16_t>((word + 0x7fffU + ((word >> 16) & 1U)) >> 16);
    }
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};
static_assert(sizeof(Bf16) == 2);

}  // namespace ingot
