// cvt between all types against quadruple precision and 128-bit integers.
#include <cmath>

#include "alu_small_float.hpp"
#include "alu_support.hpp"

namespace gpusim::test {
namespace {

__extension__ using Big = __int128;

struct IntegerType {
  std::string name;
  int bits;
  bool is_signed;
  Big low() const { return is_signed ? -(static_cast<Big>(1) << (bits - 1)) : 0; }
  Big high() const { return (static_cast<Big>(1) << (is_signed ? bits - 1 : bits)) - 1; }
};
const IntegerType kIntegerTypes[] = {{"u8", 8, false},   {"s8", 8, true},    {"u16", 16, false},
                                     {"s16", 16, true},  {"u32", 32, false}, {"s32", 32, true},
                                     {"u64", 64, false}, {"s64", 64, true}};

std::uint64_t ones(int bits) {
  return bits == 64 ? ~0ull : (1ull << bits) - 1;
}
Big number(std::uint64_t word, const IntegerType& type) {
  const std::uint64_t low = word & ones(type.bits);
  Big value = static_cast<Big>(low);
  if (type.is_signed && (low >> (type.bits - 1)) != 0) value -= static_cast<Big>(1) << type.bits;
  return value;
}
int row_bits(int bits) {
  return bits == 64 ? 64 : 32;
}
/// The row of a register that holds `value` of a type, extended to its width.
std::uint64_t row_of(Big value, int bits) {
  return static_cast<std::uint64_t>(value) & ones(row_bits(bits));
}

Words f32_codes() {
  Words values = kFloats;
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    // Random mantissas at exponents where conversions round.
    values.push_back((random() & 0x807fffffu) | (90 + random() % 80) << 23);
  }
  for (const float v :
       {0.5f,     1.5f,     2.5f,     -0.5f,   -1.5f,   -2.5f,         127.5f,
        128.5f,   255.5f,   65535.5f, -128.5f, -129.0f, 2147483520.0f, -2147483904.0f,
        65504.0f, 65519.0f, 65520.0f, 464.0f,  465.0f,  448.0f,        57344.0f,
        61440.0f, 6.0f,     5.0f,     7.4f,    7.6f,    28.0f}) {
    values.push_back(f32(v));
  }
  return values;
}
Words f64_codes() {
  Words values = kDoubles;
  std::mt19937_64 random(4);
  for (int i = 0; i < 300; ++i) {
    values.push_back((random() & 0x800fffffffffffffull) | (960 + random() % 130) << 52);
  }
  for (const std::uint64_t v : f32_codes()) values.push_back(f64(static_cast<double>(as_f32(v))));
  // Just beside the ties of f32 and of the half formats, where rounding twice would go wrong.
  for (const double tie : {1.0 + 0x1p-24, 1.0 + 0x1p-11, 1.0 + 0x1p-8, 1.0 + 0x1p-8 + 0x1p-24}) {
    values.insert(values.end(), {f64(tie), f64(tie) + 1, f64(tie) - 1});
  }
  return values;
}
Words half_codes() {
  Words values;
  for (std::uint32_t code = 0; code < 0x10000u; code += 13) values.push_back(code);
  for (const std::uint32_t code : {0x7c00u, 0xfc00u, 0x7e00u, 0x7f80u, 0xff80u, 0x7fc0u, 0x3800u,
                                   0x3e00u, 0xb800u, 0x0001u, 0x8001u}) {
    values.push_back(code);
  }
  return values;
}

struct FloatType {
  std::string name;
  int bits;
  Words codes;
  Quad (*value)(std::uint64_t code);
};
const FloatType kFloatTypes[] = {
    {"f16", 16, half_codes(),
     [](std::uint64_t c) -> Quad { return value_of(static_cast<std::uint32_t>(c), kF16); }},
    {"bf16", 16, half_codes(),
     [](std::uint64_t c) -> Quad { return value_of(static_cast<std::uint32_t>(c), kBf16); }},
    {"f32", 32, f32_codes(), [](std::uint64_t c) -> Quad { return as_f32(c); }},
    {"f64", 64, f64_codes(), [](std::uint64_t c) -> Quad { return as_f64(c); }}};

TEST(AluConvert, ConvertsBetweenIntegers) {
  for (const IntegerType& d : kIntegerTypes) {
    for (const IntegerType& a : kIntegerTypes) {
      run_check({.text = "cvt." + d.name + "." + a.name,
                 .values = {kIntegers},
                 .reference = [&](const Sources& s) {
                   const std::uint64_t truncated = static_cast<std::uint64_t>(number(s[0], a));
                   return row_of(number(truncated, d), d.bits);
                 }});
      run_check({.text = "cvt.sat." + d.name + "." + a.name,
                 .values = {kIntegers},
                 .reference = [&](const Sources& s) {
                   const Big v = number(s[0], a);
                   return row_of(v < d.low() ? d.low() : (v > d.high() ? d.high() : v), d.bits);
                 }});
    }
  }
}

TEST(AluConvert, ReadsNarrowTypesFromWideRegisters) {
  for (const IntegerType& a : kIntegerTypes) {
    if (a.bits == 64) continue;
    run_check(
        {.text = "cvt.s64." + a.name,
         .values = {kIntegers},
         .reference = [&](const Sources& s) { return static_cast<std::uint64_t>(number(s[0], a)); },
         .d_register_bits = 64,
         .a_register_bits = 64});
    run_check({.text = "cvt." + a.name + ".u32",
               .values = {kIntegers},
               .reference =
                   [&](const Sources& s) {
                     return static_cast<std::uint64_t>(number(s[0] & 0xffffffffu, a));
                   },
               .d_register_bits = 64,
               .a_register_bits = 32});
  }
  std::string why;
  EXPECT_EQ(find_alu(instruction("cvt.rn.f32.s32", 2), why, 64, 32).function, nullptr);
}

/// Rounds to an integral value in quadruple precision.
Quad integral(Quad v, const std::string& mode) {
  if (v != v || v > 1e30 || v < -1e30) return v;
  const Big whole = static_cast<Big>(v);  // towards zero
  const Quad rest = v - static_cast<Quad>(whole);
  Big r = whole;
  if (mode == "rmi" && rest < 0) --r;
  if (mode == "rpi" && rest > 0) ++r;
  if (mode == "rni") {
    const Quad size = rest < 0 ? -rest : rest;
    if (size > 0.5 || (size == 0.5 && whole % 2 != 0)) r += v < 0 ? -1 : 1;
  }
  return static_cast<Quad>(r);
}

TEST(AluConvert, ClampsFloatsToIntegers) {
  for (const IntegerType& d : kIntegerTypes) {
    for (const FloatType& a : kFloatTypes) {
      for (const std::string mode : {"rni", "rzi", "rmi", "rpi"}) {
        run_check({.text = "cvt." + mode + "." + d.name + "." + a.name,
                   .values = {a.codes},
                   .reference = [&](const Sources& s) {
                     const Quad v = a.value(s[0]);
                     if (v != v) {
                       // Zero, or one bit where a 64-bit type is on either side.
                       const bool zero = a.bits < 64 && d.bits < 64;
                       const std::uint64_t bit = zero ? 0 : 1ull << (d.bits - 1);
                       return row_of(number(bit, d), d.bits);
                     }
                     const Quad r = integral(v, mode);
                     if (r <= static_cast<Quad>(d.low())) return row_of(d.low(), d.bits);
                     if (r >= static_cast<Quad>(d.high())) return row_of(d.high(), d.bits);
                     return row_of(static_cast<Big>(r), d.bits);
                   }});
      }
    }
  }
}

struct Mode {
  std::string name;
  Direction direction;
};
const Mode kModes[] = {{"rn", Direction::kNearest},
                       {"rz", Direction::kZero},
                       {"rm", Direction::kDown},
                       {"rp", Direction::kUp}};

/// Rounds to f32 or f64 as to a small format, whose codes then are those of the type.
std::uint64_t to_float(Quad v, bool negative_zero, const std::string& type, Direction direction) {
  static constexpr Format kF32{8, 23, true, true};
  if (type == "f16") return round_to(v, negative_zero, kF16, direction, false);
  if (type == "bf16") return round_to(v, negative_zero, kBf16, direction, false);
  return round_to(v, negative_zero, kF32, direction, false);
}
std::uint64_t with_canonical_nan(std::uint64_t code, const std::string& type) {
  if (type == "f32" && (code & 0x7fffffffu) > 0x7f800000u) return 0x7fffffffu;
  return code;
}

TEST(AluConvert, RoundsIntegersToFloats) {
  std::mt19937_64 random(6);
  Words values = kIntegers;
  for (int i = 0; i < 200; ++i) values.push_back(random() >> (random() % 64));
  // Beside ties of every format.
  for (const int shift : {8, 11, 24, 40}) {
    const std::uint64_t tie = (1ull << shift) | 1ull << (shift + 23);
    values.insert(values.end(), {tie, tie + 1, tie - 1, (1ull << 62) + (1ull << 38) + 1});
  }
  for (const IntegerType& a : kIntegerTypes) {
    for (const Mode& mode : kModes) {
      for (const std::string d : {"f16", "bf16", "f32"}) {
        run_check({.text = "cvt." + mode.name + "." + d + "." + a.name,
                   .values = {values},
                   .reference = [&](const Sources& s) {
                     return to_float(static_cast<Quad>(number(s[0], a)), false, d, mode.direction);
                   }});
      }
    }
    run_check(
        {.text = "cvt.rn.f64." + a.name, .values = {values}, .reference = [&](const Sources& s) {
           const Big v = number(s[0], a);
           return f64(a.is_signed ? static_cast<double>(static_cast<std::int64_t>(v))
                                  : static_cast<double>(static_cast<std::uint64_t>(v)));
         }});
  }
  run_check({.text = "cvt.rz.f64.u64",
             .values = {{0xffffffffffffffffull}},
             .reference = [](const Sources&) { return f64(18446744073709549568.0); }});
  run_check({.text = "cvt.rp.f64.s64",
             .values = {{0x7fffffffffffffffull}},
             .reference = [](const Sources&) { return f64(9223372036854775808.0); }});
}

TEST(AluConvert, RoundsFloatsToNarrowerFloats) {
  for (const FloatType& a : kFloatTypes) {
    for (const std::string d : {"f16", "bf16", "f32"}) {
      const int d_bits = d == "f32" ? 32 : 16;
      if (d == a.name || (d_bits == 32 && a.bits < 64)) continue;
      for (const Mode& mode : kModes) {
        run_check({.text = "cvt." + mode.name + "." + d + "." + a.name,
                   .values = {a.codes},
                   .reference = [&](const Sources& s) {
                     const bool negative = (s[0] >> (a.bits - 1) & 1u) != 0;
                     return with_canonical_nan(to_float(a.value(s[0]), negative, d, mode.direction),
                                               d);
                   }});
      }
    }
  }
}

TEST(AluConvert, WidensFloatsExactly) {
  for (const FloatType& a : {kFloatTypes[0], kFloatTypes[1]}) {
    run_check(
        {.text = "cvt.f32." + a.name, .values = {a.codes}, .reference = [&](const Sources& s) {
           const float v = static_cast<float>(a.value(s[0]));
           return std::isnan(v) ? 0x7fffffffu : f32(v);
         }});
    run_check(
        {.text = "cvt.f64." + a.name,
         .values = {a.codes},
         .reference = [&](const Sources& s) { return f64(static_cast<double>(a.value(s[0]))); },
         .accept =
             [](std::uint64_t e, std::uint64_t g) {
               return std::isnan(as_f64(e)) ? std::isnan(as_f64(g)) : e == g;
             }});
  }
  run_check({.text = "cvt.f64.f32",
             .values = {kFloats},
             .reference = [](const Sources& s) { return f64(static_cast<double>(as_f32(s[0]))); },
             .accept =
                 [](std::uint64_t e, std::uint64_t g) {
                   return std::isnan(as_f64(e)) ? std::isnan(as_f64(g)) : e == g;
                 }});
}

TEST(AluConvert, RoundsToIntegralValuesWithinAType) {
  for (const std::string mode : {"rni", "rzi", "rmi", "rpi"}) {
    for (const FloatType& a : kFloatTypes) {
      run_check({.text = "cvt." + mode + "." + a.name + "." + a.name,
                 .values = {a.codes},
                 .reference = [&](const Sources& s) { return s[0]; },
                 .accept =
                     [&](std::uint64_t source, std::uint64_t got) {
                       const Quad v = a.value(source), seen = a.value(got);
                       if (v != v) return seen != seen;
                       const std::uint64_t sign = 1ull << (a.bits - 1);
                       return integral(v, mode) == seen && (source & sign) == (got & sign);
                     }});
    }
  }
}

TEST(AluConvert, AppliesSaturationFlushingAndRelu) {
  run_check({.text = "cvt.sat.f32.f32", .values = {f32_codes()}, .reference = [](const Sources& s) {
               const float v = as_f32(s[0]);
               return v > 0 ? f32(v > 1 ? 1.0f : v) : 0u;
             }});
  run_check(
      {.text = "cvt.rn.ftz.f16.f32", .values = {f32_codes()}, .reference = [](const Sources& s) {
         return round_to(as_f32(s[0]), (s[0] >> 31) != 0, kF16, Direction::kNearest, false);
       }});
  run_check({.text = "cvt.rmi.ftz.s32.f32",
             .values = {{0x80000001u, 1}},
             .reference = [](const Sources&) { return 0u; }});
  run_check({.text = "cvt.rn.satfinite.f16.f32",
             .values = {f32_codes()},
             .reference = [](const Sources& s) {
               return round_to(as_f32(s[0]), (s[0] >> 31) != 0, kF16, Direction::kNearest, true);
             }});
  run_check(
      {.text = "cvt.rz.relu.bf16.f32", .values = {f32_codes()}, .reference = [](const Sources& s) {
         const std::uint32_t r =
             round_to(as_f32(s[0]), (s[0] >> 31) != 0, kBf16, Direction::kZero, false);
         return r >= 0x8000u ? 0u : r;
       }});
  const struct {
    const char* mode;
    Direction direction;
  } modes[] = {
      {"rna", Direction::kAwayTies}, {"rn", Direction::kNearest}, {"rz", Direction::kZero}};
  for (const auto& mode : modes) {
    run_check({.text = std::string("cvt.") + mode.mode + ".tf32.f32",
               .values = {f32_codes()},
               .reference = [&](const Sources& s) {
                 return std::uint64_t{
                            round_to(as_f32(s[0]), (s[0] >> 31) != 0, kTf32, mode.direction, false)}
                        << 13;
               }});
  }
}

TEST(AluConvert, PacksPairs) {
  const Words values = f32_codes();
  const Words some(values.begin(), values.begin() + 60);
  const auto code = [](std::uint64_t bits, const Format& f, Direction d, bool saturate, bool relu) {
    std::uint32_t c = round_to(as_f32(bits), (bits >> 31) != 0, f, d, saturate);
    return relu && (c >> (f.width() - 1) & 1u) != 0 ? 0u : c;
  };
  const struct {
    const char* text;
    const Format& format;
    Direction direction;
    bool saturate, relu;
    int shift;
  } cases[] = {{"cvt.rn.f16x2.f32", kF16, Direction::kNearest, false, false, 16},
               {"cvt.rz.bf16x2.f32", kBf16, Direction::kZero, false, false, 16},
               {"cvt.rn.bf16x2.f32", kBf16, Direction::kNearest, false, false, 16},
               {"cvt.rn.relu.f16x2.f32", kF16, Direction::kNearest, false, true, 16},
               {"cvt.rn.satfinite.bf16x2.f32", kBf16, Direction::kNearest, true, false, 16},
               {"cvt.rn.satfinite.e4m3x2.f32", kE4m3, Direction::kNearest, true, false, 8},
               {"cvt.rn.satfinite.e5m2x2.f32", kE5m2, Direction::kNearest, true, false, 8},
               {"cvt.rn.satfinite.relu.e4m3x2.f32", kE4m3, Direction::kNearest, true, true, 8},
               {"cvt.rn.satfinite.e2m3x2.f32", kE2m3, Direction::kNearest, true, false, 8},
               {"cvt.rn.satfinite.e3m2x2.f32", kE3m2, Direction::kNearest, true, false, 8},
               {"cvt.rn.satfinite.e2m1x2.f32", kE2m1, Direction::kNearest, true, false, 4}};
  for (const auto& c : cases) {
    run_check({.text = c.text, .values = {some, values}, .reference = [&](const Sources& s) {
                 return code(s[0], c.format, c.direction, c.saturate, c.relu) << c.shift |
                        code(s[1], c.format, c.direction, c.saturate, c.relu);
               }});
  }
}

TEST(AluConvert, UnpacksPairs) {
  Words all;
  for (std::uint32_t code = 0; code < 0x10000u; code += 3) all.push_back(code);
  const struct {
    const char* text;
    const Format& format;
    int shift;
  } cases[] = {{"cvt.rn.f16x2.e4m3x2", kE4m3, 8},
               {"cvt.rn.f16x2.e5m2x2", kE5m2, 8},
               {"cvt.rn.f16x2.e2m3x2", kE2m3, 8},
               {"cvt.rn.f16x2.e3m2x2", kE3m2, 8},
               {"cvt.rn.f16x2.e2m1x2", kE2m1, 4}};
  for (const auto& c : cases) {
    run_check({.text = c.text, .values = {all}, .reference = [&](const Sources& s) {
                 const auto half = [&](std::uint64_t code) {
                   const std::uint32_t own =
                       static_cast<std::uint32_t>(code) & ((1u << c.format.width()) - 1);
                   const bool negative = (own >> (c.format.width() - 1)) != 0;
                   return std::uint64_t{round_to(value_of(own, c.format), negative, kF16,
                                                 Direction::kNearest, false)};
                 };
                 return half(s[0]) | half(s[0] >> c.shift) << 16;
               }});
  }
  run_check({.text = "cvt.rn.satfinite.e4m3x2.f16x2",
             .values = {{0x3c004000u, 0x7bfffbffu, 0x00018001u, 0x7e007c00u, 0x2e662e67u}},
             .reference = [](const Sources& s) {
               const auto byte = [](std::uint64_t half) {
                 const std::uint32_t own = static_cast<std::uint32_t>(half) & 0xffffu;
                 return round_to(value_of(own, kF16), own >= 0x8000u, kE4m3, Direction::kNearest,
                                 true);
               };
               return byte(s[0]) | byte(s[0] >> 16) << 8;
             }});
}

TEST(AluConvert, PacksIntegersWithSaturation) {
  const auto clamp = [](std::uint64_t v, int low, int high) {
    const auto x = static_cast<std::int32_t>(v);
    return static_cast<std::uint32_t>(x < low ? low : (x > high ? high : x));
  };
  run_check({.text = "cvt.pack.sat.s16.s32",
             .values = {kIntegers, kIntegers},
             .reference = [&](const Sources& s) {
               return (clamp(s[0], -32768, 32767) & 0xffffu) << 16 |
                      (clamp(s[1], -32768, 32767) & 0xffffu);
             }});
  run_check({.text = "cvt.pack.sat.u8.s32.b32",
             .values = {kFewIntegers, kFewIntegers, kFewIntegers},
             .reference = [&](const Sources& s) {
               return static_cast<std::uint32_t>(s[2]) << 16 | clamp(s[0], 0, 255) << 8 |
                      clamp(s[1], 0, 255);
             }});
}

}  // namespace
}  // namespace gpusim::test
