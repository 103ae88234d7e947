// One matrix product D = epilogue(alpha A B + beta C) on host memory: what cuBLAS and cuBLASLt
// calls come down to. The order of every sum depends on the shape and on `splits` only, so that
// results repeat bit for bit; nothing here knows CUDA.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gpusim::blas {

enum class Element : std::uint8_t { kF32, kF64, kF16, kBf16, kS8, kS32 };
constexpr std::int64_t size_of(Element type) {
  switch (type) {
    case Element::kF64:
      return 8;
    case Element::kF32:
    case Element::kS32:
      return 4;
    case Element::kS8:
      return 1;
    default:
      return 2;
  }
}

/// A matrix in memory; strides count elements, and one of them is usually 1.
struct Matrix {
  std::byte* data = nullptr;
  Element type = Element::kF32;
  std::int64_t row_stride = 1;
  std::int64_t column_stride = 0;

  std::byte* at(std::int64_t row, std::int64_t column) const {
    return data + (row * row_stride + column * column_stride) * size_of(type);
  }
};

/// What products are accumulated in, and to what inputs are rounded before: kTf32 keeps ten bits of
/// the mantissa, kRoundBf16 and kRoundF16 are the "fast" modes of f32 inputs.
enum class Arithmetic : std::uint8_t { kF32, kTf32, kRoundBf16, kRoundF16, kF64, kS32 };

enum class Activation : std::uint8_t {
  kNone,
  kRelu,          ///< with aux: bit i of column j is set where the result is positive
  kGelu,          ///< tanh form; with aux: aux receives the argument
  kReluGradient,  ///< aux (bits) is read
  kGeluGradient,  ///< aux is read
};

struct Epilogue {
  Activation activation = Activation::kNone;
  const std::byte* bias = nullptr;  ///< m elements of bias_type, added to each column
  std::byte* gradient = nullptr;    ///< bias gradient, elements of bias_type
  enum class Gradient : std::uint8_t { kNone, kOfResult, kOfA, kOfB };
  /// kOfResult: the row sums of D before rounding (m); kOfA: row sums of A (m); kOfB: column sums
  /// of B (n).
  Gradient gradient_of = Gradient::kNone;
  Element bias_type = Element::kF32;
  std::byte* aux = nullptr;
  Element aux_type = Element::kF32;
  std::int64_t aux_stride = 0;  ///< elements (relu: bits) from column to column
};

struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  Matrix a{};  ///< m x k, transposition already expressed by the strides
  Matrix b{};  ///< k x n
  Matrix c{};  ///< m x n, not read with beta 0; may be d
  Matrix d{};
  Arithmetic arithmetic = Arithmetic::kF32;
  double alpha = 1, beta = 0;
  const std::byte* alpha_vector = nullptr;  ///< m elements (f32, f64 or s32) instead of alpha
  const std::byte* beta_vector = nullptr;
  /// K is cut into so many parts, each summed alone; the parts are then added in order.
  int splits = 1;
  Epilogue epilogue{};  ///< only with accumulation in f32
};

struct Kernels;
/// Computes it on the calling thread, with the fastest kernels or, for tests, those of `set`.
void compute(const Product& product, const Kernels* set = nullptr);

/// The value of element `i` of a vector of `type`.
double load_element(const std::byte* data, Element type, std::int64_t i);
/// Rounds to nearest even; integers saturate.
void store_element(std::byte* data, Element type, std::int64_t i, double value);

}  // namespace gpusim::blas
