// f32 and f64 arithmetic bit by bit against the host's scalar arithmetic in the same rounding mode,
// and the approximate functions against long double within the errors that PTX documents.
#include <cfenv>
#include <cmath>

#include "alu_support.hpp"

namespace gpusim::test {
namespace {

const Words kFewFloats = {0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x00800000,
                          0x3f800000, 0xbf800001, 0x3f7fffff, 0x40490fdb, 0x7f7fffff,
                          0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x33800001};
const Words kFewDoubles = {f64(0.0),
                           f64(-0.0),
                           1,
                           0x0010000000000000ull,
                           f64(1.0),
                           f64(-1.0) + 1,
                           f64(0.1),
                           f64(1e300),
                           0x7fefffffffffffffull,
                           0x7ff0000000000000ull,
                           0xfff0000000000000ull,
                           0x7ff8000000000000ull};

/// Runs f with the rounding mode set, its arithmetic kept inside by volatile operands.
template <class T, class F>
T rounded(int mode, T a, T b, T c, F f) {
  volatile T va = a, vb = b, vc = c;
  std::fesetround(mode);
  volatile T r = f(va, vb, vc);
  std::fesetround(FE_TONEAREST);
  return r;
}

float flushed(float v) {
  return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0f, v) : v;
}

/// NaN results of f32 have canonical bits; those of f64 only have to be NaN.
std::uint64_t result_bits(float v) {
  return std::isnan(v) ? 0x7fffffffu : f32(v);
}
constexpr std::uint64_t kAnyNan = 0x7ff8dead00000000ull;
std::uint64_t result_bits(double v) {
  return std::isnan(v) ? kAnyNan : f64(v);
}
bool same_double(std::uint64_t expected, std::uint64_t got) {
  return expected == kAnyNan ? std::isnan(as_f64(got)) : expected == got;
}

struct Operation {
  const char* opcode;
  int sources;
  float (*single)(float, float, float);
  double (*twice)(double, double, double);
};
const Operation kOperations[] = {
    {"add", 2, [](float a, float b, float) { return a + b; },
     [](double a, double b, double) { return a + b; }},
    {"sub", 2, [](float a, float b, float) { return a - b; },
     [](double a, double b, double) { return a - b; }},
    {"mul", 2, [](float a, float b, float) { return a * b; },
     [](double a, double b, double) { return a * b; }},
    {"fma", 3, [](float a, float b, float c) { return std::fma(a, b, c); },
     [](double a, double b, double c) { return std::fma(a, b, c); }},
    {"div", 2, [](float a, float b, float) { return a / b; },
     [](double a, double b, double) { return a / b; }},
    {"rcp", 1, [](float a, float, float) { return 1.0f / a; },
     [](double a, double, double) { return 1.0 / a; }},
    {"sqrt", 1, [](float a, float, float) { return std::sqrt(a); },
     [](double a, double, double) { return std::sqrt(a); }},
};
const struct {
  const char* name;
  int mode;
} kModes[] = {{"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};

TEST(AluFloat, RoundsEveryOperationInEveryMode) {
  for (const Operation& op : kOperations) {
    for (const auto& mode : kModes) {
      const std::string stem = std::string(op.opcode) + "." + mode.name;
      const Words& singles = op.sources == 3 ? kFewFloats : kFloats;
      const Words& doubles = op.sources == 3 ? kFewDoubles : kDoubles;
      Check check;
      check.text = stem + ".f32";
      check.values.assign(static_cast<std::size_t>(op.sources), singles);
      check.reference = [&](const Sources& s) {
        return result_bits(rounded(mode.mode, as_f32(s[0]), as_f32(s[1]), as_f32(s[2]), op.single));
      };
      run_check(check);
      check.text = stem + ".f64";
      check.values.assign(static_cast<std::size_t>(op.sources), doubles);
      check.reference = [&](const Sources& s) {
        return result_bits(rounded(mode.mode, as_f64(s[0]), as_f64(s[1]), as_f64(s[2]), op.twice));
      };
      check.accept = same_double;
      run_check(check);
    }
  }
}

TEST(AluFloat, FlushesSubnormalsOnlyWhereItIsWritten) {
  for (const Operation& op : kOperations) {
    for (const auto& mode : kModes) {
      Check check;
      check.text = std::string(op.opcode) + "." + mode.name + ".ftz.f32";
      check.values.assign(static_cast<std::size_t>(op.sources),
                          op.sources == 3 ? kFewFloats : kFloats);
      check.reference = [&](const Sources& s) {
        return result_bits(flushed(rounded(mode.mode, flushed(as_f32(s[0])), flushed(as_f32(s[1])),
                                           flushed(as_f32(s[2])), op.single)));
      };
      run_check(check);
    }
  }
}

TEST(AluFloat, SaturatesToTheUnitInterval) {
  for (const Operation& op : kOperations) {
    if (std::string(op.opcode) == "div") break;  // from here on PTX has no .sat
    for (const auto& mode : kModes) {
      Check check;
      check.text = std::string(op.opcode) + ".sat." + mode.name + ".f32";
      check.values.assign(static_cast<std::size_t>(op.sources), kFewFloats);
      check.reference = [&](const Sources& s) {
        const float r = rounded(mode.mode, as_f32(s[0]), as_f32(s[1]), as_f32(s[2]), op.single);
        return std::isnan(r) || r <= 0.0f ? 0u : f32(r > 1.0f ? 1.0f : r);
      };
      run_check(check);
    }
  }
}

TEST(AluFloat, RoundsNearestWithoutAModifier) {
  run_check({.text = "add.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
               return result_bits(as_f32(s[0]) + as_f32(s[1]));
             }});
  run_check({.text = "mul.f64",
             .values = {kDoubles, kDoubles},
             .reference = [](const Sources& s) { return result_bits(as_f64(s[0]) * as_f64(s[1])); },
             .accept = same_double});
  run_check({.text = "fma.rn.f32x2",
             .values = {{f64(1.25), 0x3f80000040000000ull},
                        {0x3fc000007f800000ull},
                        {0x4000000040400000ull}},
             .reference = [](const Sources& s) {
               const auto part = [&](int at) {
                 return result_bits(
                     std::fma(as_f32(s[0] >> at), as_f32(s[1] >> at), as_f32(s[2] >> at)));
               };
               return part(0) | part(32) << 32;
             }});
}

template <class T>
T least(T a, T b) {
  if (std::isnan(a)) return b;
  if (std::isnan(b)) return a;
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
template <class T>
T greatest(T a, T b) {
  return -least(-a, -b);
}

TEST(AluFloat, PrefersNumbersAndOrdersZeros) {
  run_check({.text = "min.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
               return result_bits(least(as_f32(s[0]), as_f32(s[1])));
             }});
  run_check(
      {.text = "max.ftz.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
         return result_bits(greatest(flushed(as_f32(s[0])), flushed(as_f32(s[1]))));
       }});
  run_check(
      {.text = "max.NaN.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
         const float a = as_f32(s[0]), b = as_f32(s[1]);
         return std::isnan(a) || std::isnan(b) ? 0x7fffffffu : f32(greatest(a, b));
       }});
  run_check({.text = "min.xorsign.abs.f32",
             .values = {kFloats, kFloats},
             .reference = [](const Sources& s) {
               const float r = least(std::fabs(as_f32(s[0])), std::fabs(as_f32(s[1])));
               const bool negative = ((s[0] ^ s[1]) >> 31 & 1u) != 0;
               return result_bits(std::copysign(r, negative ? -1.0f : 1.0f));
             }});
  run_check({.text = "max.f32",
             .values = {kFewFloats, kFewFloats, kFewFloats},
             .reference = [](const Sources& s) {
               return result_bits(greatest(greatest(as_f32(s[0]), as_f32(s[1])), as_f32(s[2])));
             }});
  run_check(
      {.text = "min.f64",
       .values = {kDoubles, kDoubles},
       .reference = [](const Sources& s) { return result_bits(least(as_f64(s[0]), as_f64(s[1]))); },
       .accept = same_double});
}

TEST(AluFloat, ChangesSignsAsBits) {
  run_check({.text = "abs.f32", .values = {kFloats}, .reference = [](const Sources& s) {
               return s[0] & 0x7fffffffu;
             }});
  run_check({.text = "neg.f32", .values = {kFloats}, .reference = [](const Sources& s) {
               return s[0] ^ 0x80000000u;
             }});
  run_check({.text = "neg.ftz.f32", .values = {kFloats}, .reference = [](const Sources& s) {
               return f32(flushed(as_f32(s[0]))) ^ 0x80000000u;
             }});
  run_check({.text = "abs.f64", .values = {kDoubles}, .reference = [](const Sources& s) {
               return s[0] & 0x7fffffffffffffffull;
             }});
  run_check(
      {.text = "copysign.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
         return (s[0] & 0x80000000u) | (s[1] & 0x7fffffffu);
       }});
}

TEST(AluFloat, TestsProperties) {
  const struct {
    const char* name;
    bool (*is)(double);
  } properties[] = {{"finite", [](double v) { return std::isfinite(v); }},
                    {"infinite", [](double v) { return std::isinf(v); }},
                    {"number", [](double v) { return !std::isnan(v); }},
                    {"notanumber", [](double v) { return std::isnan(v); }}};
  for (const auto& property : properties) {
    run_check({.text = std::string("testp.") + property.name + ".f32",
               .values = {kFloats},
               .reference = [&](const Sources& s) { return property.is(as_f32(s[0])) ? 1u : 0u; }});
    run_check({.text = std::string("testp.") + property.name + ".f64",
               .values = {kDoubles},
               .reference = [&](const Sources& s) { return property.is(as_f64(s[0])) ? 1u : 0u; }});
  }
  run_check({.text = "testp.subnormal.f32", .values = {kFloats}, .reference = [](const Sources& s) {
               return std::fpclassify(as_f32(s[0])) == FP_SUBNORMAL ? 1u : 0u;
             }});
  run_check({.text = "testp.normal.f64", .values = {kDoubles}, .reference = [](const Sources& s) {
               return std::isnormal(as_f64(s[0])) ? 1u : 0u;
             }});
}

/// Values spread over a range, logarithmically where it is positive.
Words spread(float low, float high, int count) {
  Words values;
  for (int i = 0; i < count; ++i) {
    const double f = static_cast<double>(i) / (count - 1);
    const double v = low > 0 ? low * std::pow(static_cast<double>(high) / low, f)
                             : low + f * (static_cast<double>(high) - low);
    values.push_back(f32(static_cast<float>(v)));
  }
  return values;
}

struct Approximation {
  const char* text;
  Words values;
  long double (*exact)(long double);
  double relative;  ///< allowed error, relative or
  double absolute;  ///< absolute, whichever is larger
};

TEST(AluFloat, ApproximatesWithinTheDocumentedErrors) {
  const Approximation cases[] = {
      {"ex2.approx.f32", spread(-160.0f, 130.0f, 20000), [](long double x) { return exp2l(x); },
       0x1p-22, 0x1p-149},
      {"lg2.approx.f32", spread(0.5f, 2.0f, 20000), [](long double x) { return log2l(x); }, 0,
       0x1p-22},
      {"lg2.approx.f32", spread(1e-44f, 3e38f, 20000), [](long double x) { return log2l(x); },
       0x1p-22, 0x1p-22},
      {"sin.approx.f32", spread(-3.1415927f, 3.1415927f, 20000),
       [](long double x) { return sinl(x); }, 0, 0x1p-20},
      {"cos.approx.f32", spread(-3.1415927f, 3.1415927f, 20000),
       [](long double x) { return cosl(x); }, 0, 0x1p-20},
      {"sin.approx.ftz.f32", spread(-314.0f, 314.0f, 20000), [](long double x) { return sinl(x); },
       0, 0x1p-15},
      {"tanh.approx.f32", spread(-12.0f, 12.0f, 20000), [](long double x) { return tanhl(x); },
       0x1p-11, 0},
      {"tanh.approx.f32", spread(1e-30f, 1.0f, 20000), [](long double x) { return tanhl(x); },
       0x1p-11, 0},
      {"rsqrt.approx.f32", spread(1e-38f, 3e38f, 20000), [](long double x) { return 1 / sqrtl(x); },
       0x1p-22, 0},
      {"rcp.approx.f32", spread(1e-37f, 1e37f, 20000), [](long double x) { return 1 / x; }, 0x1p-23,
       0},
      {"sqrt.approx.f32", spread(1e-38f, 3e38f, 20000), [](long double x) { return sqrtl(x); },
       0x1p-23, 0},
  };
  for (const Approximation& c : cases) {
    long double worst = 0;
    run_check({.text = c.text,
               .values = {c.values},
               .reference = [](const Sources& s) { return s[0]; },
               .accept =
                   [&](std::uint64_t source, std::uint64_t got) {
                     const long double exact = c.exact(as_f32(source));
                     if (exact > 3.4028235e38L) return std::isinf(as_f32(got));
                     const long double error = fabsl(exact - as_f32(got));
                     worst = std::max(worst, error / (exact == 0 ? 1 : fabsl(exact)));
                     return error <= std::max<long double>(c.absolute, c.relative * fabsl(exact));
                   }});
  }
}

TEST(AluFloat, ApproximatesTheEdges) {
  const std::uint64_t inf = 0x7f800000u, minus_inf = 0xff800000u, nan = 0x7fffffffu;
  const struct {
    const char* text;
    std::uint64_t source, expected;
  } cases[] = {{"ex2.approx.f32", f32(0), f32(1)},
               {"ex2.approx.f32", f32(-149), 1},
               {"ex2.approx.ftz.f32", f32(-127), 0},
               {"ex2.approx.f32", inf, inf},
               {"ex2.approx.f32", minus_inf, 0},
               {"ex2.approx.f32", 0x7f800001u, nan},
               {"ex2.approx.f32", f32(10), f32(1024)},
               {"lg2.approx.f32", f32(0), minus_inf},
               {"lg2.approx.f32", f32(-0.0f), minus_inf},
               {"lg2.approx.f32", f32(-1), nan},
               {"lg2.approx.f32", inf, inf},
               {"lg2.approx.f32", f32(8), f32(3)},
               {"lg2.approx.f32", 1, f32(-149)},
               {"lg2.approx.ftz.f32", 1, minus_inf},
               {"sin.approx.f32", f32(-0.0f), f32(-0.0f)},
               {"sin.approx.f32", inf, nan},
               {"cos.approx.f32", f32(0), f32(1)},
               {"tanh.approx.f32", inf, f32(1)},
               {"tanh.approx.f32", minus_inf, f32(-1)},
               {"tanh.approx.f32", f32(-0.0f), f32(-0.0f)},
               {"rsqrt.approx.f32", f32(0), inf},
               {"rsqrt.approx.f32", f32(-0.0f), minus_inf},
               {"rsqrt.approx.f32", f32(-1), nan},
               {"rsqrt.approx.f32", inf, 0},
               {"rcp.approx.ftz.f32", f32(-0.0f), minus_inf},
               {"rcp.approx.ftz.f32", 1, inf},
               {"rcp.approx.ftz.f32", f32(0x1p127f), 0}};
  for (const auto& c : cases) {
    run_check({.text = c.text, .values = {{c.source}}, .reference = [&](const Sources&) {
                 return c.expected;
               }});
  }
}

TEST(AluFloat, DividesApproximatelyAsDocumented) {
  // Divisors above 2^126 give zero, and NaN for an infinite dividend.
  run_check(
      {.text = "div.approx.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
         const float a = as_f32(s[0]), b = as_f32(s[1]);
         if (std::fabs(b) > 0x1p126f && std::isfinite(b) && !std::isnan(a)) {
           if (std::isinf(a)) return std::uint64_t{0x7fffffffu};
           return (s[0] ^ s[1]) & 0x80000000u;
         }
         return result_bits(a / b);
       }});
  run_check(
      {.text = "div.full.ftz.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
         return result_bits(flushed(flushed(as_f32(s[0])) / flushed(as_f32(s[1]))));
       }});
}

TEST(AluFloat, ApproximatesReciprocalsOfDoublesFromTheUpperWord) {
  const Words values = {f64(3.0), f64(-0.1), f64(1e200), f64(0.0), 0x7ff0000000000000ull, 5};
  run_check({.text = "rcp.approx.ftz.f64",
             .values = {values},
             .reference = [](const Sources& s) { return s[0]; },
             .accept =
                 [](std::uint64_t source, std::uint64_t got) {
                   double x = as_f64(source);
                   if (std::fpclassify(x) == FP_SUBNORMAL) x = 0;
                   if ((got & 0xffffffffu) != 0) return false;
                   const double exact = 1 / x;
                   if (!std::isfinite(exact) || exact == 0) return f64(exact) == got;
                   return std::fabs(as_f64(got) - exact) <= 0x1p-19 * std::fabs(exact);
                 }});
}

}  // namespace
}  // namespace gpusim::test
