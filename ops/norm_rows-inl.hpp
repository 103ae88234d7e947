// The rows of layernorm and rmsnorm, forward and backward. The two differ in that layernorm
// subtracts the mean (kCentred); their kernels instantiate what is here. Compiled once per
// instruction set, like ops/simd-inl.hpp.
//
// A row is walked two or three times, but comes from memory once: it stays in the first cache.

#if defined(INGOT_OPS_NORM_ROWS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef INGOT_OPS_NORM_ROWS_INL_HPP
#undef INGOT_OPS_NORM_ROWS_INL_HPP
#else
#define INGOT_OPS_NORM_ROWS_INL_HPP
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ops/simd-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {

/// Values as they will read back after being stored as T.
template <class D>
HWY_INLINE hn::Vec<D> as_stored(D /*d*/, hn::Vec<D> values, const float* /*memory*/) {
  return values;
}
template <class D>
HWY_INLINE hn::Vec<D> as_stored(D d, hn::Vec<D> values, const Bf16* /*memory*/) {
  return floats_of_bf16(d, bf16_of_floats(d, values));
}

template <typename T>
struct NormForward {
  const T* x;      ///< [rows, columns]
  const T* add;    ///< [rows, columns] or nullptr: x + add is normalised and kept in `sum`
  const T* gamma;  ///< [columns]
  const T* beta;   ///< [columns] or nullptr
  T* sum;          ///< [rows, columns], where there is `add`
  T* y;            ///< [rows, columns]
  float* mean;     ///< [rows], where centred
  float* rstd;     ///< [rows], 1 / sqrt(variance or mean square + epsilon)
  std::int64_t columns;
  float epsilon;
};

template <bool kCentred, typename T>
HWY_INLINE void norm_forward_rows(const NormForward<T>& norm, std::int64_t begin,
                                  std::int64_t end) {
  const FloatTag d;
  const std::int64_t columns = norm.columns;
  const float scale = 1.0F / static_cast<float>(columns);
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = norm.x + row * columns;
    // A term of the sum of x, or of x^2 where not centred.
    const auto count = [&](Floats value, Floats sum) HWY_ATTR {
      return kCentred ? hn::Add(sum, value) : hn::MulAdd(value, value, sum);
    };
    auto total = hn::Zero(d);
    if (norm.add != nullptr) {
      const T* add = norm.add + row * columns;
      T* kept = norm.sum + row * columns;
      total = sum_vectors(d, columns, [&](std::int64_t i, auto extent, Floats sum) HWY_ATTR {
        // The sum is what later ops read, so it is normalised as it is stored.
        const auto added = hn::Add(load(d, x + i, extent), load(d, add + i, extent));
        store(d, added, kept + i, extent);
        return count(as_stored(d, added, kept), sum);
      });
      x = kept;
    } else {
      total = sum_vectors(d, columns, [&](std::int64_t i, auto extent, Floats sum) HWY_ATTR {
        return count(load(d, x + i, extent), sum);
      });
    }
    float mean = 0;
    if (kCentred) {
      mean = sum_of_lanes(d, total) * scale;
      norm.mean[row] = mean;
      const auto centre = hn::Set(d, mean);
      total = sum_vectors(d, columns, [&](std::int64_t i, auto extent, Floats sum) HWY_ATTR {
        const auto distance = fill_rest(d, hn::Sub(load(d, x + i, extent), centre), 0.0F, extent);
        return hn::MulAdd(distance, distance, sum);
      });
    }
    const float rstd = 1.0F / std::sqrt(sum_of_lanes(d, total) * scale + norm.epsilon);
    norm.rstd[row] = rstd;

    const auto centre = hn::Set(d, mean);
    const auto factor = hn::Set(d, rstd);
    T* y = norm.y + row * columns;
    const auto normalised = [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto value = load(d, x + i, extent);
      const auto unit = hn::Mul(kCentred ? hn::Sub(value, centre) : value, factor);
      return hn::Mul(unit, load(d, norm.gamma + i, extent));
    };
    if (norm.beta != nullptr) {
      for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
        store(d, hn::Add(normalised(i, extent), load(d, norm.beta + i, extent)), y + i, extent);
      });
    } else {
      for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
        store(d, normalised(i, extent), y + i, extent);
      });
    }
  }
}

template <typename T>
struct NormBackward {
  const T* dy;        ///< [rows, columns]
  const T* x;         ///< [rows, columns], what was normalised
  const float* mean;  ///< [rows], where centred
  const float* rstd;  ///< [rows]
  const T* gamma;     ///< [columns]
  const T* residual;  ///< [rows, columns] or nullptr: added to dx; may be dx's own memory
  T* dx;              ///< [rows, columns]
  bool accumulate;    ///< add to what dx holds
  std::int64_t columns;
};

/// The gradient of rows [begin, end). Also writes their sums over rows of dy * (x - mean) * rstd to
/// dgamma[columns] and, unless nullptr, of dy to dbeta[columns].
///
/// With g = dy * gamma and u = (x - mean) * rstd: dx = rstd (g - mean(g) - u mean(g u)), where
/// mean(g) is only there when centred.
template <bool kCentred, typename T>
HWY_INLINE void norm_backward_rows(const NormBackward<T>& norm, float* dgamma, float* dbeta,
                                   std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  const std::int64_t columns = norm.columns;
  const float scale = 1.0F / static_cast<float>(columns);
  std::fill_n(dgamma, columns, 0.0F);
  if (dbeta != nullptr) std::fill_n(dbeta, columns, 0.0F);
  for (std::int64_t row = begin; row < end; ++row) {
    const T* dy = norm.dy + row * columns;
    const T* x = norm.x + row * columns;
    T* dx = norm.dx + row * columns;
    const auto centre = hn::Set(d, kCentred ? norm.mean[row] : 0.0F);
    const auto factor = hn::Set(d, norm.rstd[row]);
    const auto unit = [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto value = load(d, x + i, extent);
      return hn::Mul(kCentred ? hn::Sub(value, centre) : value, factor);
    };
    auto sum_g = hn::Zero(d);
    auto sum_gu = hn::Zero(d);
    // Lanes beyond the row do not count: dy and so g are zero there.
    const auto sums = [&](std::int64_t i, auto extent) HWY_ATTR {
      const auto gradient = load(d, dy + i, extent);
      const auto u = unit(i, extent);
      const auto g = hn::Mul(gradient, load(d, norm.gamma + i, extent));
      if (kCentred) sum_g = hn::Add(sum_g, g);
      sum_gu = hn::MulAdd(g, u, sum_gu);
      store(d, hn::MulAdd(gradient, u, load(d, dgamma + i, extent)), dgamma + i, extent);
      return gradient;
    };
    if (dbeta != nullptr) {
      for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
        const auto gradient = sums(i, extent);
        store(d, hn::Add(gradient, load(d, dbeta + i, extent)), dbeta + i, extent);
      });
    } else {
      for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR { sums(i, extent); });
    }
    const auto mean_g = hn::Set(d, kCentred ? sum_of_lanes(d, sum_g) * scale : 0.0F);
    const auto mean_gu = hn::Set(d, sum_of_lanes(d, sum_gu) * scale);
    const auto gradient_of = [&](std::int64_t i, auto extent) HWY_ATTR {
      auto g = hn::Mul(load(d, dy + i, extent), load(d, norm.gamma + i, extent));
      if (kCentred) g = hn::Sub(g, mean_g);
      g = hn::Mul(hn::NegMulAdd(unit(i, extent), mean_gu, g), factor);
      return norm.accumulate ? hn::Add(g, load(d, dx + i, extent)) : g;
    };
    if (norm.residual != nullptr) {
      const T* residual = norm.residual + row * columns;
      for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
        const auto g = gradient_of(i, extent);
        store(d, hn::Add(g, load(d, residual + i, extent)), dx + i, extent);
      });
    } else {
      for_each_vector(d, columns, [&](std::int64_t i, auto extent) HWY_ATTR {
        store(d, gradient_of(i, extent), dx + i, extent);
      });
    }
  }
}

/// to[i] = (accumulate: to[i] +) the sum over chunks, in their order, of partials[chunk * stride +
/// i], for i in [begin, end).
HWY_INLINE void sum_chunks(const float* partials, std::int64_t chunks, std::int64_t stride,
                           float* to, bool accumulate, std::int64_t begin, std::int64_t end) {
  const FloatTag d;
  for_each_vector(d, end - begin, [&](std::int64_t offset, auto extent) HWY_ATTR {
    const std::int64_t i = begin + offset;
    auto total = hn::Zero(d);
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      total = hn::Add(total, load(d, partials + chunk * stride + i, extent));
    }
    if (accumulate) total = hn::Add(load(d, to + i, extent), total);
    store(d, total, to + i, extent);
  });
}

}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
