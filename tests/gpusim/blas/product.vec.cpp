// Packing, the register-tile kernel and the epilogue, for one instruction set (GPUSIM_TARGET). Only
// code of this namespace is called: see the note on vector code in CMakeLists.txt.
#include <cstddef>
#include <cstdint>

#include "blas/kernels.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace gpusim::blas::GPUSIM_TARGET {

namespace {

#include "blas/elements-inl.hpp"

// The register tile: kVectors vectors of rows times kColumns columns fill the registers.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kColumns = 12;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kColumns = 6;
#else
constexpr int kVectorBytes = 16;
constexpr int kColumns = 6;
#endif
constexpr int kVectors = 2;

template <typename T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kVectorBytes)));
  typedef T Unaligned __attribute__((vector_size(kVectorBytes), aligned(alignof(T))));
};
template <typename T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));
template <typename T>
constexpr int kRows = kVectors* kLanes<T>;

template <typename V>
inline V multiply_add(V a, V b, V c) {
  return a * b + c;
}
#if defined(__AVX512F__)
inline __m512 multiply_add(__m512 a, __m512 b, __m512 c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline __m512d multiply_add(__m512d a, __m512d b, __m512d c) {
  return _mm512_fmadd_pd(a, b, c);
}
#elif defined(__AVX2__)
inline __m256 multiply_add(__m256 a, __m256 b, __m256 c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline __m256d multiply_add(__m256d a, __m256d b, __m256d c) {
  return _mm256_fmadd_pd(a, b, c);
}
#endif

/// c (leading dimension kTileRows) = or += the product of one packed panel of A and one of B.
template <typename T>
void register_tile(const T* a, const T* b, std::int64_t depth, T* c, bool add) {
  using Vector = typename VectorOf<T>::Type;
  using Unaligned = typename VectorOf<T>::Unaligned;
  Vector sums[kColumns][kVectors] = {};
  for (std::int64_t p = 0; p < depth; ++p) {
    Vector rows[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      rows[v] = *reinterpret_cast<const Unaligned*>(a + v * kLanes<T>);
    }
#pragma GCC unroll 12
    for (int j = 0; j < kColumns; ++j) {
      const Vector column = b[j] - Vector{};
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[j][v] = multiply_add(rows[v], column, sums[j][v]);
    }
    a += kRows<T>;
    b += kColumns;
  }
#pragma GCC unroll 12
  for (int j = 0; j < kColumns; ++j) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      auto* to = reinterpret_cast<Unaligned*>(c + j * kTileRows + v * kLanes<T>);
      *to = add ? *to + sums[j][v] : sums[j][v];
    }
  }
}

template <typename T>
void multiply(const T* a, const T* b, std::int64_t rows, std::int64_t columns, std::int64_t depth,
              T* accumulators, bool add) {
  for (std::int64_t j = 0; j < columns; j += kColumns) {
    for (std::int64_t i = 0; i < rows; i += kRows<T>) {
      register_tile<T>(a + i * depth, b + j * depth, depth, accumulators + j * kTileRows + i, add);
    }
  }
}

// ---- packing
// -------------------------------------------------------------------------------------

// How an element of the source becomes a T.
struct FromF32 {
  using Stored = float;
  static float value(float x) { return x; }
};
struct FromF32AsTf32 {
  using Stored = float;
  static float value(float x) { return round_tf32(x); }
};
struct FromF32AsBf16 {
  using Stored = float;
  static float value(float x) { return bf16_to_float(float_to_bf16(x)); }
};
struct FromF32AsF16 {
  using Stored = float;
  static float value(float x) { return f16_to_float(float_to_f16(x)); }
};
struct FromBf16 {
  using Stored = std::uint16_t;
  static float value(std::uint16_t x) { return bf16_to_float(x); }
};
struct FromF16 {
  using Stored = std::uint16_t;
  static float value(std::uint16_t x) { return f16_to_float(x); }
};
struct FromF64 {
  using Stored = double;
  static double value(double x) { return x; }
};
struct FromS8 {
  using Stored = std::int8_t;
  static std::int32_t value(std::int8_t x) { return x; }
};

/// Panels of kWidth vectors, element p of all of them side by side; missing vectors are zero.
template <typename From, int kWidth, typename T>
void pack_from(const PackSource& source, T* packed) {
  using Stored = typename From::Stored;
  const auto* data = reinterpret_cast<const Stored*>(source.data);
  const std::int64_t stride = source.stride;
  const std::int64_t step = source.step;
  for (std::int64_t r = 0; r < source.count; r += kWidth, packed += kWidth * source.depth) {
    const Stored* panel = data + r * stride;
    const std::int64_t width = source.count - r < kWidth ? source.count - r : kWidth;
    if (width == kWidth && stride == 1) {
      for (std::int64_t p = 0; p < source.depth; ++p) {
        for (int i = 0; i < kWidth; ++i) {
          packed[p * kWidth + i] = static_cast<T>(From::value(panel[p * step + i]));
        }
      }
    } else if (width == kWidth) {
      for (std::int64_t p = 0; p < source.depth; ++p) {
#pragma GCC unroll 4
        for (int i = 0; i < kWidth; ++i) {
          packed[p * kWidth + i] = static_cast<T>(From::value(panel[i * stride + p * step]));
        }
      }
    } else {
      for (std::int64_t p = 0; p < source.depth; ++p) {
        for (std::int64_t i = 0; i < kWidth; ++i) {
          packed[p * kWidth + i] =
              i < width ? static_cast<T>(From::value(panel[i * stride + p * step])) : T{0};
        }
      }
    }
  }
}

template <int kWidth>
void pack_f32(const PackSource& source, float* packed) {
  if (source.type == Element::kBf16) return pack_from<FromBf16, kWidth>(source, packed);
  if (source.type == Element::kF16) return pack_from<FromF16, kWidth>(source, packed);
  if (source.type == Element::kS8) return pack_from<FromS8, kWidth>(source, packed);
  switch (source.arithmetic) {
    case Arithmetic::kTf32:
      return pack_from<FromF32AsTf32, kWidth>(source, packed);
    case Arithmetic::kRoundBf16:
      return pack_from<FromF32AsBf16, kWidth>(source, packed);
    case Arithmetic::kRoundF16:
      return pack_from<FromF32AsF16, kWidth>(source, packed);
    default:
      return pack_from<FromF32, kWidth>(source, packed);
  }
}
template <int kWidth>
void pack_f64(const PackSource& source, double* packed) {
  pack_from<FromF64, kWidth>(source, packed);
}
template <int kWidth>
void pack_s32(const PackSource& source, std::uint32_t* packed) {
  pack_from<FromS8, kWidth>(source, packed);
}

// ---- epilogue
// ------------------------------------------------------------------------------------

void load_floats(const std::byte* data, Element type, std::int64_t step, std::int64_t count,
                 float* to) {
  if (type == Element::kF32) {
    const auto* from = reinterpret_cast<const float*>(data);
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * step];
  } else if (type == Element::kBf16) {
    const auto* from = reinterpret_cast<const std::uint16_t*>(data);
    for (std::int64_t i = 0; i < count; ++i) to[i] = bf16_to_float(from[i * step]);
  } else {
    const auto* from = reinterpret_cast<const std::uint16_t*>(data);
    for (std::int64_t i = 0; i < count; ++i) to[i] = f16_to_float(from[i * step]);
  }
}

void store_floats(const float* from, std::int64_t count, std::byte* data, Element type,
                  std::int64_t step) {
  if (type == Element::kF32) {
    auto* to = reinterpret_cast<float*>(data);
    for (std::int64_t i = 0; i < count; ++i) to[i * step] = from[i];
  } else if (type == Element::kBf16) {
    auto* to = reinterpret_cast<std::uint16_t*>(data);
    for (std::int64_t i = 0; i < count; ++i) to[i * step] = float_to_bf16(from[i]);
  } else {
    auto* to = reinterpret_cast<std::uint16_t*>(data);
    for (std::int64_t i = 0; i < count; ++i) to[i * step] = float_to_f16(from[i]);
  }
}

/// exp(x) to about 2 ulp; saturates beyond +-87, passes NaN on.
inline float exponential(float x) {
  x = x > 87.0F ? 87.0F : x;
  x = x < -87.0F ? -87.0F : x;
  // n = round(x / ln 2) by the trick of adding 1.5 * 2^23.
  const float shifted = x * 1.44269504F + 12582912.0F;
  const float n = shifted - 12582912.0F;
  const float r = (x - n * 0.693145752F) - n * 1.42860677e-6F;
  float p = 1.98756915e-4F;
  p = p * r + 1.39819994e-3F;
  p = p * r + 8.33345205e-3F;
  p = p * r + 4.16657962e-2F;
  p = p * r + 1.66666657e-1F;
  p = p * r + 5.0e-1F;
  p = p * r * r + r + 1.0F;
  return p * float_of((bits_of(shifted) << 23) + 0x3f800000U);
}

// gelu(x) = x (1 + tanh u) / 2 = x / (1 + exp(-2 u)) with u = sqrt(2 / pi) (x + 0.044715 x^3).
constexpr float kGeluSlope = 1.5957691216F;  // 2 sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715F;

inline float sigmoid(float x) {
  return 1.0F / (1.0F + exponential(-x));
}
inline float gelu(float x) {
  return x * sigmoid(kGeluSlope * (x + kGeluCubic * x * x * x));
}
inline float gelu_slope(float x) {
  const float s = sigmoid(kGeluSlope * (x + kGeluCubic * x * x * x));
  return s + x * s * (1.0F - s) * kGeluSlope * (1.0F + 3.0F * kGeluCubic * x * x);
}

void activate(const Finish& f, float* v) {
  float other[kTileRows];
  const std::int64_t count = f.count;
  const auto bit = [&f](std::int64_t i) { return f.aux_bit + i; };
  switch (f.activation) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      for (std::int64_t i = 0; f.aux != nullptr && i < count; ++i) {
        auto* bytes = reinterpret_cast<std::uint8_t*>(f.aux) + bit(i) / 8;
        const auto mask = static_cast<std::uint8_t>(1U << bit(i) % 8);
        *bytes = static_cast<std::uint8_t>(v[i] > 0 ? *bytes | mask : *bytes & ~mask);
      }
      for (std::int64_t i = 0; i < count; ++i) v[i] = v[i] < 0 ? 0 : v[i];
      break;
    case Activation::kReluGradient:
      for (std::int64_t i = 0; i < count; ++i) {
        const auto byte = reinterpret_cast<const std::uint8_t*>(f.aux)[bit(i) / 8];
        v[i] = (byte >> bit(i) % 8 & 1) != 0 ? v[i] : 0.0F;
      }
      break;
    case Activation::kGelu:
      if (f.aux != nullptr) store_floats(v, count, f.aux, f.aux_type, 1);
      for (std::int64_t i = 0; i < count; ++i) v[i] = gelu(v[i]);
      break;
    case Activation::kGeluGradient:
      load_floats(f.aux, f.aux_type, 1, count, other);
      for (std::int64_t i = 0; i < count; ++i) v[i] *= gelu_slope(other[i]);
      break;
  }
}

void finish(const Finish& f, float* v) {
  const std::int64_t count = f.count;
  if (f.alphas != nullptr) {
    for (std::int64_t i = 0; i < count; ++i) v[i] *= f.alphas[i];
  } else {
    for (std::int64_t i = 0; i < count; ++i) v[i] *= f.alpha;
  }
  if (f.c != nullptr) {
    float c[kTileRows];
    load_floats(f.c, f.c_type, f.c_step, count, c);
    if (f.betas != nullptr) {
      for (std::int64_t i = 0; i < count; ++i) v[i] += f.betas[i] * c[i];
    } else {
      for (std::int64_t i = 0; i < count; ++i) v[i] += f.beta * c[i];
    }
  }
  if (f.bias != nullptr) {
    for (std::int64_t i = 0; i < count; ++i) v[i] += f.bias[i];
  }
  activate(f, v);
  if (f.row_sums != nullptr) {
    for (std::int64_t i = 0; i < count; ++i) f.row_sums[i] += static_cast<double>(v[i]);
  }
  store_floats(v, count, f.d, f.d_type, f.d_step);
}

}  // namespace

#define GPUSIM_TEXT(x) #x
#define GPUSIM_NAME(x) GPUSIM_TEXT(x)
extern const Kernels kKernels = {
    GPUSIM_NAME(GPUSIM_TARGET),
    {pack_f32<kRows<float>>, pack_f32<kColumns>, multiply<float>},
    {pack_f64<kRows<double>>, pack_f64<kColumns>, multiply<double>},
    {pack_s32<kRows<std::uint32_t>>, pack_s32<kColumns>, multiply<std::uint32_t>},
    finish};

}  // namespace gpusim::blas::GPUSIM_TARGET
