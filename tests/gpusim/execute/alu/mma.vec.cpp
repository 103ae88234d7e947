// Products of tensor cores. One kernel multiplies a 16 x (KBlocks * 4E) by an x 8 fragment for
// every type; shapes that are wider, taller or flatter run it several times or with rows of zeros.
//
// It works in the registers' own lane order: for each k, lane (g, t) needs A[g][k], which one of
// its four neighbours holds (a shuffle within four lanes), and B[k][2t] and B[k][2t + 1], four
// values that are the same for every g (loaded from a small table). Sums run over k in ascending
// order.
#include "execute/alu/matrix.hpp"
#include "execute/alu/small_floats.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int kPerVector = kVectorBytes / 4;
constexpr int kVectors = kLanes / kPerVector;

typedef float FloatVector __attribute__((vector_size(kVectorBytes)));
typedef s32 IntVector __attribute__((vector_size(kVectorBytes)));
typedef u32 WordVector __attribute__((vector_size(kVectorBytes)));

#if defined(__AVX512F__)
// The unmasked forms of some intrinsics warn of uninitialised values in GCC 12 (bug 105593).
constexpr __mmask16 kAllWords = 0xffff;
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = FloatVector;
};
template <>
struct VectorOf<s32> {
  using type = IntVector;
};

[[gnu::always_inline]] inline FloatVector multiply_add(FloatVector a, FloatVector b,
                                                       FloatVector c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}
[[gnu::always_inline]] inline IntVector multiply_add(IntVector a, IntVector b, IntVector c) {
  // Unsigned, because sums of integers wrap.
  return bits<IntVector>(bits<WordVector>(a) * bits<WordVector>(b) + bits<WordVector>(c));
}

/// How elements lie in a register, and what they are worth.
template <class S>
struct HalfElement {
  using Value = float;
  static constexpr int kCount = 2;
  template <int I>
  static float get(u32 word) {
    return widen<S>(word >> (16 * I) & 0xffffu);
  }
};
struct Tf32Element {
  using Value = float;
  static constexpr int kCount = 1;
  template <int I>
  static float get(u32 word) {
    return bits<float>(word & 0xffffe000u);
  }
};
template <class S>
struct ByteFloatElement {
  using Value = float;
  static constexpr int kCount = 4;
  template <int I>
  static float get(u32 word) {
    return widen<S>(word >> (8 * I));
  }
};
/// Integers of Width bits.
template <int Width, bool Signed>
struct IntElement {
  using Value = s32;
  static constexpr int kCount = 32 / Width;
  template <int I>
  static s32 get(u32 word) {
    const u32 top = word << (32 - Width * (I + 1));
    return Signed ? static_cast<s32>(top) >> (32 - Width) : static_cast<s32>(top >> (32 - Width));
  }
};

template <class E, int I = 0>
[[gnu::always_inline]] inline void unpack(const void* row, typename E::Value (*out)[kLanes]) {
  for (int i = 0; i < kLanes; ++i) out[I][i] = E::template get<I>(take<u32>(row, i));
  if constexpr (I + 1 < E::kCount) unpack<E, I + 1>(row, out);
}
#if defined(__AVX512F__)
template <>
[[gnu::always_inline]] inline void unpack<HalfElement<F16>, 0>(const void* row,
                                                               float (*out)[kLanes]) {
  for (int part = 0; part < 2; ++part) {
    const __m512i words = _mm512_loadu_si512(static_cast<const u32*>(row) + 16 * part);
    const __m256i low = _mm512_maskz_cvtepi32_epi16(kAllWords, words);
    const __m256i high =
        _mm512_maskz_cvtepi32_epi16(kAllWords, _mm512_maskz_srli_epi32(kAllWords, words, 16));
    _mm512_store_ps(out[0] + 16 * part, _mm512_maskz_cvtph_ps(kAllWords, low));
    _mm512_store_ps(out[1] + 16 * part, _mm512_maskz_cvtph_ps(kAllWords, high));
  }
}
#endif

/// table[t][parity][i] = B[k of t][2i + parity], from values[8 * 4] in lane order (n, t).
template <class T>
[[gnu::always_inline]] inline void spread(const T* values, T (*table)[2][4]) {
#if defined(__AVX512F__)
  using Vector = typename VectorOf<T>::type;
  const Vector low = *reinterpret_cast<const Vector*>(values);
  const Vector high = *reinterpret_cast<const Vector*>(values + 16);
  constexpr IntVector kFirst = {0, 8, 16, 24, 4, 12, 20, 28, 1, 9, 17, 25, 5, 13, 21, 29};
  constexpr IntVector kSecond = {2, 10, 18, 26, 6, 14, 22, 30, 3, 11, 19, 27, 7, 15, 23, 31};
  *reinterpret_cast<Vector*>(&table[0][0][0]) = __builtin_shuffle(low, high, kFirst);
  *reinterpret_cast<Vector*>(&table[2][0][0]) = __builtin_shuffle(low, high, kSecond);
#else
  for (int t = 0; t < 4; ++t) {
    for (int parity = 0; parity < 2; ++parity) {
      for (int i = 0; i < 4; ++i) table[t][parity][i] = values[(2 * i + parity) * 4 + t];
    }
  }
#endif
}

/// Four values repeated over a vector.
template <class Vector, class T>
[[gnu::always_inline]] inline Vector repeat(const T* four) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Vector) == sizeof(FloatVector)) {
    return bits<Vector>(_mm512_maskz_broadcast_i32x4(
        kAllWords, _mm_load_si128(reinterpret_cast<const __m128i*>(four))));
  }
#elif defined(__AVX2__)
  return bits<Vector>(
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(four))));
#else
  return *reinterpret_cast<const Vector*>(four);
#endif
}

/// Element t of each group of four lanes, spread over the group.
template <int T, class Vector>
[[gnu::always_inline]] inline Vector from_neighbour(Vector v) {
#if defined(__AVX512F__)
  return bits<Vector>(_mm512_maskz_shuffle_epi32(kAllWords, bits<__m512i>(v),
                                                 static_cast<_MM_PERM_ENUM>(T * 0x55)));
#elif defined(__AVX2__)
  return bits<Vector>(_mm256_shuffle_epi32(bits<__m256i>(v), T * 0x55));
#else
  constexpr IntVector kPick = {T, T, T, T};
  return __builtin_shuffle(v, kPick);
#endif
}

template <class Value>
using Accumulators = Value[4][kLanes];

/// One k: accumulators of two vectors of each half.
template <int T, class Value, class Vector>
[[gnu::always_inline]] inline void one_k(const Value* low, const Value* high,
                                         const Value (*table)[2][4], Vector (&sum)[4][2]) {
  const Vector even = repeat<Vector>(table[T][0]);
  const Vector odd = repeat<Vector>(table[T][1]);
  for (int v = 0; v < 2; ++v) {
    const Vector a = from_neighbour<T>(*reinterpret_cast<const Vector*>(low + v * kPerVector));
    const Vector a8 = from_neighbour<T>(*reinterpret_cast<const Vector*>(high + v * kPerVector));
    sum[0][v] = multiply_add(a, even, sum[0][v]);
    sum[1][v] = multiply_add(a, odd, sum[1][v]);
    sum[2][v] = multiply_add(a8, even, sum[2][v]);
    sum[3][v] = multiply_add(a8, odd, sum[3][v]);
  }
}

/// c += A B, with a[2 * block + (row >= 8)] and b[block]. Elements of A and B may differ in sign.
template <class EA, class EB, int KBlocks>
[[gnu::noinline, gnu::flatten]] void accumulate(const void* const* a, const void* const* b,
                                                Accumulators<typename EA::Value>& c) {
  using Value = typename EA::Value;
  using Vector = typename VectorOf<Value>::type;
  constexpr int E = EA::kCount;
  static_assert(E == EB::kCount);
  alignas(64) Value values_a[KBlocks][2][E][kLanes];
  alignas(64) Value table[KBlocks][E][4][2][4];
  for (int block = 0; block < KBlocks; ++block) {
    unpack<EA>(a[2 * block], values_a[block][0]);
    unpack<EA>(a[2 * block + 1], values_a[block][1]);
    alignas(64) Value values_b[E][kLanes];
    unpack<EB>(b[block], values_b);
    for (int e = 0; e < E; ++e) spread(values_b[e], table[block][e]);
  }
  for (int first = 0; first < kVectors; first += 2) {
    const int at = first * kPerVector;
    Vector sum[4][2];
    for (int i = 0; i < 4; ++i) {
      for (int v = 0; v < 2; ++v) {
        sum[i][v] = *reinterpret_cast<const Vector*>(&c[i][at + v * kPerVector]);
      }
    }
    for (int block = 0; block < KBlocks; ++block) {
      const auto step = [&]<int T>() {
        for (int e = 0; e < E; ++e) {
          one_k<T>(values_a[block][0][e] + at, values_a[block][1][e] + at, table[block][e], sum);
        }
      };
      step.template operator()<0>();
      step.template operator()<1>();
      step.template operator()<2>();
      step.template operator()<3>();
    }
    for (int i = 0; i < 4; ++i) {
      for (int v = 0; v < 2; ++v) {
        *reinterpret_cast<Vector*>(&c[i][at + v * kPerVector]) = sum[i][v];
      }
    }
  }
}

/// The accumulators of one 16 x 8 tile from and to registers: 4 rows of f32 or s32, or 2 of f16x2.
struct WholeWords {
  static constexpr int kRows = 2;  // per 8 x 8 block
  template <class Value>
  static void load(const void* const* rows, int half, Accumulators<Value>& c) {
    for (int j = 0; j < 2; ++j) {
      for (int i = 0; i < kLanes; ++i) c[2 * half + j][i] = take<Value>(rows[j], i);
    }
  }
  template <class Value>
  static void store(void* const* rows, int half, const Accumulators<Value>& c) {
    for (int j = 0; j < 2; ++j) {
      u32* row = static_cast<u32*>(rows[j]);
      for (int i = 0; i < kLanes; ++i) row[i] = bits<u32>(c[2 * half + j][i]);
    }
  }
};
struct Halves {
  static constexpr int kRows = 1;
  static void load(const void* const* rows, int half, Accumulators<float>& c) {
    for (int i = 0; i < kLanes; ++i) {
      const u32 word = take<u32>(rows[0], i);
      c[2 * half][i] = widen<F16>(word & 0xffffu);
      c[2 * half + 1][i] = widen<F16>(word >> 16);
    }
  }
  static void store(void* const* rows, int half, const Accumulators<float>& c) {
    u32* row = static_cast<u32*>(rows[0]);
    for (int i = 0; i < kLanes; ++i) {
      row[i] = narrow<F16, Round::kRn, false>(c[2 * half][i]) |
               narrow<F16, Round::kRn, false>(c[2 * half + 1][i]) << 16;
    }
  }
};

alignas(64) constexpr u32 kZeroRow[kLanes] = {};

/// The whole instruction: M/8 blocks of rows, N/8 of columns, KBlocks of 4E in depth. Results wait
/// until all sources were read, because D may be the registers of A or B.
template <class EA, class EB, class C, class D, int M, int N, int KBlocks, bool Saturate>
void multiply(const MmaOperands& o) {
  using Value = typename EA::Value;
  constexpr int kRowBlocks = M / 8, kColumnBlocks = N / 8;
  constexpr int kPairs = (kRowBlocks + 1) / 2, kHalves = kRowBlocks == 1 ? 1 : 2;
  Accumulators<Value> sums[kColumnBlocks * kPairs] __attribute__((aligned(64)));
  for (int column = 0; column < kColumnBlocks; ++column) {
    for (int pair = 0; pair < kPairs; ++pair) {
      Accumulators<Value>& c = sums[column * kPairs + pair];
      const void* a[2 * KBlocks];
      for (int block = 0; block < KBlocks; ++block) {
        a[2 * block] = o.a[block * kRowBlocks + 2 * pair];
        a[2 * block + 1] = kRowBlocks == 1 ? kZeroRow : o.a[block * kRowBlocks + 2 * pair + 1];
      }
      if constexpr (kRowBlocks == 1 || Saturate) {
        for (auto& row : c) {
          for (Value& value : row) value = Value(0);
        }
      }
      if constexpr (!Saturate) {
        for (int half = 0; half < kHalves; ++half) {
          C::load(o.c + (column * kRowBlocks + 2 * pair + half) * C::kRows, half, c);
        }
      }
      accumulate<EA, EB, KBlocks>(a, o.b + column * KBlocks, c);
      if constexpr (Saturate) {
        Accumulators<Value> start __attribute__((aligned(64))) = {};
        for (int half = 0; half < kHalves; ++half) {
          C::load(o.c + (column * kRowBlocks + 2 * pair + half) * C::kRows, half, start);
        }
        for (int j = 0; j < 4; ++j) {
          for (int i = 0; i < kLanes; ++i) {
            c[j][i] = static_cast<Value>(
                clamp_s32(static_cast<s64>(start[j][i]) + static_cast<s64>(c[j][i])));
          }
        }
      }
    }
  }
  for (int column = 0; column < kColumnBlocks; ++column) {
    for (int pair = 0; pair < kPairs; ++pair) {
      for (int half = 0; half < kHalves; ++half) {
        D::store(o.d + (column * kRowBlocks + 2 * pair + half) * D::kRows, half,
                 sums[column * kPairs + pair]);
      }
    }
  }
}

/// f64: few instructions, plain loops.
template <int M, int K>
void multiply_f64(const MmaOperands& o) {
  constexpr int kRowBlocks = M / 8;
  double sums[2 * kRowBlocks][kLanes];
  for (int half = 0; half < kRowBlocks; ++half) {
    for (int j = 0; j < 2; ++j) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const int g = lane / 4, t = lane % 4;
        double sum = take<double>(o.c[2 * half + j], lane);
        for (int k = 0; k < K; ++k) {
          const double a = take<double>(o.a[(k / 4) * kRowBlocks + half], g * 4 + k % 4);
          const double b = take<double>(o.b[k / 4], (2 * t + j) * 4 + k % 4);
          sum = __builtin_fma(a, b, sum);
        }
        sums[2 * half + j][lane] = sum;
      }
    }
  }
  for (int row = 0; row < 2 * kRowBlocks; ++row) {
    u64* d = static_cast<u64*>(o.d[row]);
    for (int lane = 0; lane < kLanes; ++lane) d[lane] = bits<u64>(sums[row][lane]);
  }
}

MmaFunction find_f64(const MatrixForm& form) {
  if (form.n != 8) return nullptr;
  if (form.m == 8) return form.k == 4 ? multiply_f64<8, 4> : nullptr;
  if (form.m != 16) return nullptr;
  switch (form.k) {
    case 4:
      return multiply_f64<16, 4>;
    case 8:
      return multiply_f64<16, 8>;
    case 16:
      return multiply_f64<16, 16>;
    default:
      return nullptr;
  }
}

/// f32 or f16 accumulators, by the types of C and D.
template <class EA, class EB, int M, int N, int KBlocks>
MmaFunction by_accumulator(const MatrixForm& form) {
  const bool c = form.c == Element::kF16, d = form.d == Element::kF16;
  if (c && d) return multiply<EA, EB, Halves, Halves, M, N, KBlocks, false>;
  if (c) return multiply<EA, EB, Halves, WholeWords, M, N, KBlocks, false>;
  if (d) return multiply<EA, EB, WholeWords, Halves, M, N, KBlocks, false>;
  return multiply<EA, EB, WholeWords, WholeWords, M, N, KBlocks, false>;
}
template <class E, int M, int N, int KBlocks>
MmaFunction in_f32() {
  return multiply<E, E, WholeWords, WholeWords, M, N, KBlocks, false>;
}

MmaFunction find_f16(const MatrixForm& form) {
  using E = HalfElement<F16>;
  if (form.m == 16 && form.n == 8) {
    if (form.k == 16) return by_accumulator<E, E, 16, 8, 2>(form);
    return form.k == 8 ? by_accumulator<E, E, 16, 8, 1>(form) : nullptr;
  }
  if (form.k != 16) return nullptr;
  if (form.m == 16 && form.n == 16) return by_accumulator<E, E, 16, 16, 2>(form);
  if (form.m == 8 && form.n == 32) return by_accumulator<E, E, 8, 32, 2>(form);
  return form.m == 32 && form.n == 8 ? by_accumulator<E, E, 32, 8, 2>(form) : nullptr;
}
MmaFunction find_bf16(const MatrixForm& form) {
  using E = HalfElement<Bf16>;
  if (form.m == 16 && form.n == 8) {
    if (form.k == 16) return in_f32<E, 16, 8, 2>();
    return form.k == 8 ? in_f32<E, 16, 8, 1>() : nullptr;
  }
  if (form.k != 16) return nullptr;
  if (form.m == 16 && form.n == 16) return in_f32<E, 16, 16, 2>();
  if (form.m == 8 && form.n == 32) return in_f32<E, 8, 32, 2>();
  return form.m == 32 && form.n == 8 ? in_f32<E, 32, 8, 2>() : nullptr;
}
MmaFunction find_tf32(const MatrixForm& form) {
  if (form.m != 16) return nullptr;
  if (form.n == 16) return form.k == 8 ? in_f32<Tf32Element, 16, 16, 2>() : nullptr;
  if (form.n != 8) return nullptr;
  if (form.k == 4) return in_f32<Tf32Element, 16, 8, 1>();
  return form.k == 8 ? in_f32<Tf32Element, 16, 8, 2>() : nullptr;
}

template <class EA, class EB, int M, int N, int KBlocks>
MmaFunction saturating(bool saturate) {
  return saturate ? multiply<EA, EB, WholeWords, WholeWords, M, N, KBlocks, true>
                  : multiply<EA, EB, WholeWords, WholeWords, M, N, KBlocks, false>;
}
template <class EA, class EB>
MmaFunction integers(const MatrixForm& form) {
  constexpr int kDepth = 4 * EA::kCount;  // of one block
  const bool s = form.satfinite;
  if (form.k == kDepth) {
    if (form.m == 16 && form.n == 8) return saturating<EA, EB, 16, 8, 1>(s);
    if (form.m == 8 && form.n == 8) return saturating<EA, EB, 8, 8, 1>(s);
    if (EA::kCount == 4) {
      if (form.m == 16 && form.n == 16) return saturating<EA, EB, 16, 16, 1>(s);
      if (form.m == 8 && form.n == 32) return saturating<EA, EB, 8, 32, 1>(s);
      if (form.m == 32 && form.n == 8) return saturating<EA, EB, 32, 8, 1>(s);
    }
  }
  return form.k == 2 * kDepth && form.m == 16 && form.n == 8 ? saturating<EA, EB, 16, 8, 2>(s)
                                                             : nullptr;
}
template <int Width>
MmaFunction find_integers(const MatrixForm& form, bool signed_a, bool signed_b) {
  using S = IntElement<Width, true>;
  using U = IntElement<Width, false>;
  if (signed_a) return signed_b ? integers<S, S>(form) : integers<S, U>(form);
  return signed_b ? integers<U, S>(form) : integers<U, U>(form);
}

template <class EA>
MmaFunction find_fp8(const MatrixForm& form) {
  using B4 = ByteFloatElement<E4m3>;
  using B5 = ByteFloatElement<E5m2>;
  const bool e5 = form.b == Element::kE5m2;
  if (form.m != 16 || form.n != 8) return nullptr;
  if (form.k == 32) {
    return e5 ? by_accumulator<EA, B5, 16, 8, 2>(form) : by_accumulator<EA, B4, 16, 8, 2>(form);
  }
  if (form.k != 16) return nullptr;
  return e5 ? by_accumulator<EA, B5, 16, 8, 1>(form) : by_accumulator<EA, B4, 16, 8, 1>(form);
}

}  // namespace

/// The kernel of a shape and its types, or null.
MmaFunction find_product(const MatrixForm& form) {
  switch (form.a) {
    case Element::kF16:
      return find_f16(form);
    case Element::kBf16:
      return find_bf16(form);
    case Element::kTf32:
      return find_tf32(form);
    case Element::kF64:
      return find_f64(form);
    case Element::kS8:
    case Element::kU8:
      return find_integers<8>(form, form.a == Element::kS8, form.b == Element::kS8);
    case Element::kS4:
    case Element::kU4:
      return find_integers<4>(form, form.a == Element::kS4, form.b == Element::kS4);
    case Element::kE4m3:
      return find_fp8<ByteFloatElement<E4m3>>(form);
    case Element::kE5m2:
      return find_fp8<ByteFloatElement<E5m2>>(form);
    default:
      return nullptr;
  }
}

}  // namespace gpusim::GPUSIM_TARGET
