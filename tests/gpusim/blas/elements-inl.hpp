// Conversions between element types, written so that loops over them become vector code. Included
// inside a namespace of each instruction set, hence no inclusions and no guard here; integers and
// std::memcpy alike come from the including file.

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float float_of(std::uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

inline float bf16_to_float(std::uint16_t value) {
  return float_of(static_cast<std::uint32_t>(value) << 16);
}

inline std::uint16_t float_to_bf16(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
  const std::uint32_t quiet = bits | 0x400000U;
  const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
  return static_cast<std::uint16_t>((nan ? quiet : rounded) >> 16);
}

inline float f16_to_float(std::uint16_t value) {
  const std::uint32_t magnitude = (value & 0x7fffU) << 13;
  // The product brings the exponent from f16's bias to f32's, and is exact for denormals too.
  std::uint32_t bits = bits_of(float_of(magnitude) * 0x1p112F);
  bits |= magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
  return float_of(bits | (value & 0x8000U) << 16);
}

inline std::uint16_t float_to_f16(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  // Normal results: rebias the exponent and round half to even.
  const std::uint32_t normal = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
  // Denormal results: adding 0.5 aligns the mantissa, and the addition rounds.
  const std::uint32_t small = bits_of(float_of(magnitude) + 0.5F) - 0x3f000000U;
  const std::uint32_t special = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;
  std::uint32_t result = magnitude < 0x38800000U ? small : normal;
  result = magnitude >= 0x477ff000U ? special : result;
  return static_cast<std::uint16_t>(sign | result);
}

/// To ten bits of mantissa, halves away from zero, as cvt.rna.tf32 does.
inline float round_tf32(float value) {
  const std::uint32_t bits = bits_of(value);
  const std::uint32_t rounded = (bits + 0x1000U) & ~0x1fffU;
  return float_of((bits & 0x7f800000U) == 0x7f800000U ? bits : rounded);
}
