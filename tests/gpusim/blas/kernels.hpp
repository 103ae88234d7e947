// The inner loops of a product, compiled once per instruction set; product.cpp cuts the work into
// tiles and calls them.
#pragma once

#include <cstdint>

#include "blas/product.hpp"

namespace gpusim::blas {

constexpr std::int64_t kTileRows = 192;  ///< a multiple of every kernel's register tile
constexpr std::int64_t kTileColumns = 240;
constexpr std::int64_t kTileDepth = 256;

/// Elements of the accumulators of a tile (column-major, leading dimension kTileRows) and of the
/// packed pieces of A and B.
constexpr std::int64_t kTileElements = kTileRows * kTileColumns;
constexpr std::int64_t kPackedA = kTileRows * kTileDepth;
constexpr std::int64_t kPackedB = kTileColumns * kTileDepth;

/// `count` vectors of `depth` elements: vector r begins at data + r * stride elements, its elements
/// are `step` apart.
struct PackSource {
  const std::byte* data;
  Element type;
  std::int64_t stride, step, count, depth;
  Arithmetic arithmetic;
};

/// One column (or piece of one) of results on its way out.
struct Finish {
  std::int64_t count;
  float alpha, beta;
  const float* alphas;  ///< one per row or null
  const float* betas;
  const std::byte* c;  ///< null with beta 0
  Element c_type;
  std::int64_t c_step;  ///< elements from row to row
  const float* bias;    ///< or null
  Activation activation;
  std::byte* aux;  ///< or null; relu: bits, beginning at aux_bit
  Element aux_type;
  std::int64_t aux_bit;
  double* row_sums;  ///< or null: results are added
  std::byte* d;
  Element d_type;
  std::int64_t d_step;
};

/// T is float, double or std::uint32_t.
template <typename T>
struct TypedKernels {
  void (*pack_a)(const PackSource& source, T* packed);
  void (*pack_b)(const PackSource& source, T* packed);
  /// accumulators = packed A * packed B, or += with add.
  void (*multiply)(const T* a, const T* b, std::int64_t rows, std::int64_t columns,
                   std::int64_t depth, T* accumulators, bool add);
};

struct Kernels {
  const char* name;
  TypedKernels<float> f32;
  TypedKernels<double> f64;
  TypedKernels<std::uint32_t> s32;
  void (*finish)(const Finish& finish, float* accumulators);
};

/// The fastest set that this processor has; GPUSIM_VECTOR=baseline|avx2|avx512 takes another.
const Kernels& kernels();
/// The set of that name, null where this processor cannot run it.
const Kernels* kernels_named(const char* name);

namespace baseline {
extern const Kernels kKernels;
}
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}

}  // namespace gpusim::blas
