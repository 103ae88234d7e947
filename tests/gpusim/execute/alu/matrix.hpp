// Tensor-core instructions taken apart, and where their fragments keep matrix elements.
//
// All fragments of mma.sync follow one pattern, which wmma uses here too. Lanes are (g, t) = (lane
// / 4, lane % 4). With E elements per register, a block of 4E columns of A lies in one register per
// 8 rows: row g of the 8, columns tE to tE + E - 1. B likewise with k for the columns and n for the
// row. C and D hold columns 2t and 2t + 1 of row g of each 8 x 8 block.
#pragma once

#include <cstdint>

#include "execute/alu/form.hpp"

namespace gpusim {

enum class Element : std::uint8_t {
  kF16,
  kBf16,
  kTf32,
  kF64,
  kS8,
  kU8,
  kS4,
  kU4,
  kE4m3,
  kE5m2,
  kB1,
  kF32,
  kS32
};

struct MatrixForm {
  bool wmma = false;
  int m = 0, n = 0, k = 0;
  Element d = Element::kF32, a = Element::kF16, b = Element::kF16, c = Element::kF32;
  bool satfinite = false;
};

/// Elements in one register of a fragment (the row is 64 bits wide for f64).
constexpr int elements_per_register(Element e) {
  switch (e) {
    case Element::kF16:
    case Element::kBf16:
      return 2;
    case Element::kS8:
    case Element::kU8:
    case Element::kE4m3:
    case Element::kE5m2:
      return 4;
    case Element::kS4:
    case Element::kU4:
      return 8;
    case Element::kB1:
      return 32;
    default:
      return 1;
  }
}

/// Registers that hold a fragment once, without the duplicates that wmma's f16 fragments have.
constexpr int distinct_registers(int elements, int per_register) {
  return elements / (32 * per_register);
}

}  // namespace gpusim
