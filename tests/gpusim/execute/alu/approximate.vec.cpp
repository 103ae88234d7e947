// The .approx instructions whose results are not simply exact: ex2, lg2, sin, cos, tanh, rsqrt, and
// the f64 reciprocals that compute with the upper words only. (rcp, sqrt and div of f32 give the
// exact result, which is within their error: float.vec.cpp.)
#include "execute/alu/approximate_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

struct Exp2 {
  static float apply(float x) { return exp2_of(x); }
};
struct Log2 {
  static float apply(float x) { return log2_of(x); }
};
struct Sine {
  static float apply(float x) { return sine_of<0>(x); }
};
struct Cosine {
  static float apply(float x) { return sine_of<1>(x); }
};
struct HyperbolicTangent {
  static float apply(float x) { return tanh_of(x); }
};
struct ReciprocalRoot {
  static float apply(float x) { return 1.0f / __builtin_sqrtf(x); }
  static double apply(double x) { return 1.0 / __builtin_sqrt(x); }
};

/// Only the upper word of the source counts and only that of the result is given; subnormals flush.
[[gnu::always_inline]] inline double upper_word(double x) {
  const u64 b = bits<u64>(x);
  const u64 kept = b & 0xffffffff00000000ull;
  return bits<double>((b & 0x7ff0000000000000ull) == 0 ? b & 0x8000000000000000ull : kept);
}
struct CoarseReciprocal {
  double operator()(double x) const {
    if (is_nan(x)) return bits<double>(u64{0x7fffffff00000000ull});
    return upper_word(1.0 / upper_word(x));
  }
};
struct CoarseReciprocalRoot {
  double operator()(double x) const {
    const double r = 1.0 / __builtin_sqrt(upper_word(x));
    return is_nan(r) ? bits<double>(u64{0x7fffffff00000000ull}) : upper_word(r);
  }
};

template <class F>
AluEntry single(const Form& form) {
  if (form.type[0] != Type::kF32 || !form.approx) return {};
  return form.ftz ? entry<Ruled<F, true, false>, float, float>()
                  : entry<Ruled<F, false, false>, float, float>();
}

AluEntry find(const Form& form) {
  const bool f64 = form.type[0] == Type::kF64;
  switch (form.op) {
    case Op::kEx2:
      return single<Exp2>(form);
    case Op::kLg2:
      return single<Log2>(form);
    case Op::kSin:
      return single<Sine>(form);
    case Op::kCos:
      return single<Cosine>(form);
    case Op::kTanh:
      return single<HyperbolicTangent>(form);
    case Op::kRcp:
      return f64 && form.approx && form.ftz ? entry<CoarseReciprocal, double, double>()
                                            : AluEntry{};
    case Op::kRsqrt:
      if (!f64) return single<ReciprocalRoot>(form);
      if (!form.approx) return {};
      return form.ftz ? entry<CoarseReciprocalRoot, double, double>()
                      : entry<Ruled<ReciprocalRoot, false, false>, double, double>();
    default:
      return {};
  }
}

}  // namespace

AluEntry find_approximate(const Form& form) {
  if (form.round != Round::kNone || form.sat) return {};
  return with_float_sources(find(form));
}

}  // namespace gpusim::GPUSIM_TARGET
