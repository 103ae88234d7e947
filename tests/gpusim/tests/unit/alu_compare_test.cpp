// set and setp: every comparison of every type, combined predicates, second destinations.
#include <cmath>

#include "alu_small_float.hpp"
#include "alu_support.hpp"

namespace gpusim::test {
namespace {

const char* const kOrdered[] = {"eq", "ne", "lt", "le", "gt", "ge"};
const char* const kUnordered[] = {"equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};

/// By the manual's words: ordered forms are false, unordered ones true where an operand is NaN.
template <class T>
bool holds(const std::string& name, T a, T b, bool unordered) {
  if (name == "num") return !unordered;
  if (name == "nan") return unordered;
  const std::string base = name.substr(0, 2);
  if (unordered) return name.size() == 3;
  if (base == "eq") return a == b;
  if (base == "ne") return a != b;
  if (base == "lt" || base == "lo") return a < b;
  if (base == "le" || base == "ls") return a <= b;
  if (base == "gt" || base == "hi") return a > b;
  return a >= b;
}

TEST(AluCompare, ComparesIntegers) {
  for (const std::string type : {"u16", "s16", "u32", "s32", "u64", "s64", "b16", "b32", "b64"}) {
    const int bits = std::stoi(type.substr(1));
    std::vector<std::string> names(std::begin(kOrdered), std::end(kOrdered));
    if (type[0] == 'u') names.insert(names.end(), {"lo", "ls", "hi", "hs"});
    if (type[0] == 'b') names = {"eq", "ne"};
    for (const std::string& name : names) {
      run_check({.text = "setp." + name + "." + type,
                 .values = {kIntegers, kIntegers},
                 .reference = [&](const Sources& s) {
                   const std::uint64_t a = s[0] << (64 - bits), b = s[1] << (64 - bits);
                   const bool r = type[0] == 's' ? holds(name, static_cast<std::int64_t>(a),
                                                         static_cast<std::int64_t>(b), false)
                                                 : holds(name, a, b, false);
                   return r ? 1u : 0u;
                 }});
    }
  }
}

std::vector<std::string> float_comparisons() {
  std::vector<std::string> names(std::begin(kOrdered), std::end(kOrdered));
  names.insert(names.end(), std::begin(kUnordered), std::end(kUnordered));
  return names;
}

TEST(AluCompare, ComparesFloats) {
  for (const std::string& name : float_comparisons()) {
    run_check({.text = "setp." + name + ".f32",
               .values = {kFloats, kFloats},
               .reference = [&](const Sources& s) {
                 const float a = as_f32(s[0]), b = as_f32(s[1]);
                 return holds(name, a, b, std::isnan(a) || std::isnan(b)) ? 1u : 0u;
               }});
    run_check({.text = "setp." + name + ".ftz.f32",
               .values = {kFloats, kFloats},
               .reference = [&](const Sources& s) {
                 const auto flush = [](float v) { return std::fabs(v) < 0x1p-126f ? 0.0f : v; };
                 const float a = flush(as_f32(s[0])), b = flush(as_f32(s[1]));
                 return holds(name, a, b, std::isnan(a) || std::isnan(b)) ? 1u : 0u;
               }});
    run_check({.text = "setp." + name + ".f64",
               .values = {kDoubles, kDoubles},
               .reference = [&](const Sources& s) {
                 const double a = as_f64(s[0]), b = as_f64(s[1]);
                 return holds(name, a, b, std::isnan(a) || std::isnan(b)) ? 1u : 0u;
               }});
    const Words halves = {0,      0x8000, 1,      0x03ff, 0x0400, 0x3c00, 0xbc00,
                          0x7bff, 0x7c00, 0xfc00, 0x7e00, 0x3c01, 0x7fff};
    for (const bool bf16 : {false, true}) {
      const Format& format = bf16 ? kBf16 : kF16;
      run_check({.text = "setp." + name + (bf16 ? ".bf16" : ".f16"),
                 .values = {halves, halves},
                 .reference = [&](const Sources& s) {
                   const double a = static_cast<double>(value_of(s[0] & 0xffffu, format));
                   const double b = static_cast<double>(value_of(s[1] & 0xffffu, format));
                   return holds(name, a, b, std::isnan(a) || std::isnan(b)) ? 1u : 0u;
                 }});
    }
  }
}

TEST(AluCompare, CombinesWithAThirdPredicate) {
  const Words few = {0, 1, 0xffffffffu};
  for (const bool negate : {false, true}) {
    const auto other = [negate](const Sources& s) { return (s[2] != 0) != negate; };
    run_check({.text = "setp.lt.and.s32",
               .values = {few, few, {0, 1}},
               .reference =
                   [&](const Sources& s) {
                     return static_cast<std::int32_t>(s[0]) < static_cast<std::int32_t>(s[1]) &&
                                    other(s)
                                ? 1u
                                : 0u;
                   },
               .negate_c = negate});
    run_check({.text = "setp.eq.or.u64",
               .values = {few, few, {0, 1}},
               .reference = [&](const Sources& s) { return s[0] == s[1] || other(s) ? 1u : 0u; },
               .negate_c = negate});
    run_check({.text = "setp.ne.xor.b32",
               .values = {few, few, {0, 1}},
               .reference = [&](const Sources& s) { return (s[0] != s[1]) != other(s) ? 1u : 0u; },
               .negate_c = negate});
  }
}

TEST(AluCompare, WritesTheComplementToTheSecondDestination) {
  alignas(64) std::uint32_t a[kLanes], b[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    a[i] = static_cast<std::uint32_t>(i);
    b[i] = 16;
  }
  std::string why;
  std::uint32_t p = 0, q = 0, c = 0x00ffff00u;
  AluOperands o;
  o.d = &p;
  o.d2 = &q;
  o.a = a;
  o.b = b;
  find_alu(instruction("setp.lt.u32", 3), why).function(o, 0xffffffffu);
  EXPECT_EQ(p, 0x0000ffffu);
  EXPECT_EQ(q, 0xffff0000u);
  o.c = &c;
  const AluEntry combined = find_alu(instruction("setp.lt.and.u32", 4), why);
  EXPECT_EQ(combined.d2_bits, 1);
  combined.function(o, 0xffffffffu);
  EXPECT_EQ(p, 0x0000ff00u);
  EXPECT_EQ(q, 0x00ff0000u);
  // The third predicate may be a destination, and either destination may be a sink.
  o.c = &p;
  combined.function(o, 0xffffffffu);
  EXPECT_EQ(p, 0x0000ff00u);
  EXPECT_EQ(q, 0u);
  o.d = nullptr;
  o.c = &c;
  combined.function(o, 0x0ff00000u);
  EXPECT_EQ(q, 0x00f00000u);
}

TEST(AluCompare, ComparesBothHalvesOfAPair) {
  alignas(64) std::uint32_t a[kLanes], b[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    a[i] = 0x3c004000u;                             // 1, 2
    b[i] = i % 2 == 0 ? 0x40003c00u : 0x3c004000u;  // 2, 1 or equal
  }
  std::string why;
  std::uint32_t p = 0, q = 0;
  AluOperands o;
  o.d = &p;
  o.d2 = &q;
  o.a = a;
  o.b = b;
  find_alu(instruction("setp.gt.f16x2", 3), why).function(o, 0xffffffffu);
  EXPECT_EQ(p, 0x55555555u);
  EXPECT_EQ(q, 0u);
  run_check({.text = "set.ge.f16x2.f16x2",
             .values = {{0x3c004000u}, {0x40003c00u, 0x3c004000u, 0x7e003c00u}},
             .reference = [](const Sources& s) -> std::uint64_t {
               return s[1] == 0x3c004000u ? 0x3c003c00u : 0x00003c00u;
             }});
}

TEST(AluCompare, SetsValues) {
  run_check({.text = "set.lt.u32.s32",
             .values = {kIntegers, kIntegers},
             .reference = [](const Sources& s) {
               return static_cast<std::int32_t>(s[0]) < static_cast<std::int32_t>(s[1])
                          ? 0xffffffffu
                          : 0u;
             }});
  run_check(
      {.text = "set.neu.f32.f32", .values = {kFloats, kFloats}, .reference = [](const Sources& s) {
         return as_f32(s[0]) != as_f32(s[1]) ? f32(1.0f) : 0;
       }});
  run_check({.text = "set.eq.or.s32.f64",
             .values = {kDoubles, kDoubles, {0, 1}},
             .reference = [](const Sources& s) {
               return as_f64(s[0]) == as_f64(s[1]) || s[2] != 0 ? 0xffffffffu : 0u;
             }});
}

}  // namespace
}  // namespace gpusim::test
