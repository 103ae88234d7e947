// f16 and bf16 arithmetic against quadruple precision rounded once.
#include <cmath>

#include "alu_small_float.hpp"
#include "alu_support.hpp"

namespace gpusim::test {
namespace {

/// Codes at the edges, and random ones.
Words codes(int random_count) {
  Words values = {0,      0x8000, 1,      0x8001, 0x03ff, 0x0400, 0x0401, 0x007f, 0x0080, 0x3c00,
                  0xbc00, 0x3c01, 0x3bff, 0x3f80, 0xbf81, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00,
                  0x7f7f, 0x7f80, 0xff80, 0x7fc0, 0x7fff, 0x6bff, 0x1400, 0x9400};
  std::mt19937 random(19);
  for (int i = 0; i < random_count; ++i) values.push_back(random() & 0xffffu);
  return values;
}

struct Kind {
  const char* single;
  const char* pair;
  const Format& format;
};
const Kind kKinds[] = {{"f16", "f16x2", kF16}, {"bf16", "bf16x2", kBf16}};

std::uint32_t flush(std::uint32_t code) {
  return (code & 0x7c00u) == 0 ? code & 0x8000u : code;
}

/// The sign that IEEE gives an exact zero: that of a nearest-rounded host computation.
template <class F>
std::uint32_t rounded(const Format& format, F formula, std::uint64_t a, std::uint64_t b,
                      std::uint64_t c) {
  const Quad exact = formula(value_of(static_cast<std::uint32_t>(a), format),
                             value_of(static_cast<std::uint32_t>(b), format),
                             value_of(static_cast<std::uint32_t>(c), format));
  return round_to(exact, std::signbit(static_cast<double>(exact)), format, Direction::kNearest,
                  false);
}

using Formula = Quad (*)(Quad, Quad, Quad);

TEST(AluHalf, RoundsSumsAndProductsOnce) {
  const struct {
    const char* opcode;
    int sources;
    Formula formula;
  } operations[] = {
      {"add", 2, [](Quad a, Quad b, Quad) -> Quad { return sum_off_ties(a, b); }},
      {"sub", 2, [](Quad a, Quad b, Quad) -> Quad { return sum_off_ties(a, -b); }},
      {"mul", 2, [](Quad a, Quad b, Quad) -> Quad { return a * b; }},
      {"fma.rn", 3, [](Quad a, Quad b, Quad c) -> Quad { return sum_off_ties(a * b, c); }}};
  for (const auto& op : operations) {
    for (const Kind& kind : kKinds) {
      Check check;
      check.values.assign(static_cast<std::size_t>(op.sources), codes(op.sources == 3 ? 12 : 100));
      check.text = std::string(op.opcode) + "." + kind.single;
      check.result_mask = 0xffffu;
      check.reference = [&](const Sources& s) {
        return rounded(kind.format, op.formula, s[0] & 0xffffu, s[1] & 0xffffu, s[2] & 0xffffu);
      };
      run_check(check);
      // In pairs: the upper halves hold the same values, rotated.
      check.text = std::string(op.opcode) + "." + kind.pair;
      check.result_mask = 0xffffffffu;
      for (Words& values : check.values) {
        const Words low = values;
        for (std::size_t i = 0; i < low.size(); ++i) {
          values[i] = low[i] | low[(i + 5) % low.size()] << 16;
        }
      }
      check.reference = [&](const Sources& s) {
        const std::uint64_t low =
            rounded(kind.format, op.formula, s[0] & 0xffffu, s[1] & 0xffffu, s[2] & 0xffffu);
        const std::uint64_t high =
            rounded(kind.format, op.formula, s[0] >> 16, s[1] >> 16, s[2] >> 16);
        return low | high << 16;
      };
      run_check(check);
    }
  }
}

TEST(AluHalf, FusesWhereTwoRoundingsWouldDiffer) {
  // Random triples whose product and addend are of like size: the hard cases of a single rounding.
  std::mt19937 random(23);
  for (const Kind& kind : kKinds) {
    const std::uint32_t one = static_cast<std::uint32_t>(kind.format.bias())
                              << kind.format.mantissa_bits;
    const std::uint32_t step = 1u << kind.format.mantissa_bits;
    Words a, b, c;
    for (int i = 0; i < 24; ++i) {
      a.push_back(one + random() % step);
      b.push_back(one + random() % step);
      c.push_back((one - (random() % 14) * step + random() % step) | (random() & 1u) << 15);
    }
    run_check({.text = std::string("fma.rn.") + kind.single,
               .values = {a, b, c},
               .reference =
                   [&](const Sources& s) {
                     return rounded(
                         kind.format,
                         [](Quad x, Quad y, Quad z) -> Quad { return sum_off_ties(x * y, z); },
                         s[0], s[1], s[2]);
                   },
               .result_mask = 0xffffu});
  }
}

TEST(AluHalf, AppliesSaturationReluAndFlushing) {
  const Formula sum = [](Quad a, Quad b, Quad) -> Quad { return sum_off_ties(a, b); };
  const Formula fused = [](Quad a, Quad b, Quad c) -> Quad { return sum_off_ties(a * b, c); };
  run_check({.text = "add.sat.f16",
             .values = {codes(60), codes(60)},
             .reference = [&](const Sources& s) -> std::uint64_t {
               const std::uint32_t r = rounded(kF16, sum, s[0], s[1], 0);
               if (r >= 0x8000u || r > 0x7c00u) return 0;
               return r > 0x3c00u ? 0x3c00u : r;
             },
             .result_mask = 0xffffu});
  run_check({.text = "add.ftz.f16",
             .values = {codes(60), codes(60)},
             .reference =
                 [&](const Sources& s) {
                   return flush(rounded(kF16, sum, flush(static_cast<std::uint32_t>(s[0])),
                                        flush(static_cast<std::uint32_t>(s[1])), 0));
                 },
             .result_mask = 0xffffu});
  for (const Kind& kind : kKinds) {
    run_check({.text = std::string("fma.rn.relu.") + kind.single,
               .values = {codes(10), codes(10), codes(10)},
               .reference = [&](const Sources& s) -> std::uint64_t {
                 const std::uint32_t r = rounded(kind.format, fused, s[0], s[1], s[2]);
                 return r >= 0x8000u ? 0u : r;
               },
               .result_mask = 0xffffu});
  }
}

TEST(AluHalf, TakesExtremesAndSigns) {
  for (const Kind& kind : kKinds) {
    const Format& format = kind.format;
    const std::uint32_t inf = infinity_code(format);
    const auto is_nan = [inf](std::uint64_t code) { return (code & 0x7fffu) > inf; };
    const auto key = [](std::uint64_t code) {
      return (code & 0x8000u) != 0 ? -static_cast<int>(code & 0x7fffu) - 1 : static_cast<int>(code);
    };
    const auto pick = [=](std::uint64_t a, std::uint64_t b, bool largest) -> std::uint64_t {
      if (is_nan(a)) return is_nan(b) ? 0x7fffu : b;
      if (is_nan(b)) return a;
      return (key(a) < key(b)) != largest ? a : b;
    };
    const std::string name = kind.single;
    run_check({.text = "max." + name,
               .values = {codes(40), codes(40)},
               .reference = [&](const Sources& s) { return pick(s[0], s[1], true); },
               .result_mask = 0xffffu});
    run_check({.text = "min.NaN." + name,
               .values = {codes(40), codes(40)},
               .reference = [&](const Sources& s) -> std::uint64_t {
                 return is_nan(s[0]) || is_nan(s[1]) ? 0x7fffu : pick(s[0], s[1], false);
               },
               .result_mask = 0xffffu});
    run_check({.text = "neg." + name,
               .values = {codes(10)},
               .reference = [](const Sources& s) { return s[0] ^ 0x8000u; },
               .result_mask = 0xffffu});
    run_check({.text = std::string("abs.") + kind.pair,
               .values = {{0x80018001u, 0xffffbc00u, 0x3c003c00u}},
               .reference = [](const Sources& s) { return s[0] & 0x7fff7fffu; }});
  }
}

TEST(AluHalf, ApproximatesExponentialsAndTangents) {
  for (const Kind& kind : kKinds) {
    const std::string ex2 =
        std::string("ex2.approx.") + (kind.format.exponent_bits == 8 ? "ftz." : "");
    const std::string tanh = "tanh.approx.";
    for (const std::string& text : {ex2 + kind.single, tanh + kind.single}) {
      Words values;
      for (std::uint32_t code = 0; code < 0x10000u; code += 7) values.push_back(code);
      const bool exponential = text[0] == 'e';
      run_check(
          {.text = text,
           .values = {values},
           .reference = [](const Sources& s) { return s[0]; },
           .result_mask = 0xffffu,
           .accept =
               [&](std::uint64_t source, std::uint64_t got) {
                 const double x =
                     static_cast<double>(value_of(static_cast<std::uint32_t>(source), kind.format));
                 const double seen =
                     static_cast<double>(value_of(static_cast<std::uint32_t>(got), kind.format));
                 const double exact = exponential ? std::exp2(x) : std::tanh(x);
                 if (std::isnan(exact)) return got == 0x7fffu;
                 const double largest =
                     static_cast<double>(magnitude_of(largest_code(kind.format), kind.format));
                 if (exact > largest) return seen >= largest;
                 const double tolerance = kind.format.mantissa_bits == 10 ? 0x1p-9 : 0x1p-7;
                 return std::fabs(seen - exact) <= tolerance * std::fabs(exact) + 0x1p-24;
               }});
    }
  }
}

}  // namespace
}  // namespace gpusim::test
