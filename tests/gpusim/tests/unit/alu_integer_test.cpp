// Integer arithmetic against plain 128-bit arithmetic on the host.
#include "alu_support.hpp"

namespace gpusim::test {
namespace {

__extension__ using Big = __int128;

__extension__ using BigUnsigned = unsigned __int128;

/// The low 128 bits of a product.
Big times(Big a, Big b) {
  return static_cast<Big>(static_cast<BigUnsigned>(a) * static_cast<BigUnsigned>(b));
}

struct IntegerType {
  const char* name;
  int bits;
  bool is_signed;
};
constexpr IntegerType kTypes[] = {{"u16", 16, false}, {"s16", 16, true},  {"u32", 32, false},
                                  {"s32", 32, true},  {"u64", 64, false}, {"s64", 64, true}};

std::uint64_t ones(int bits) {
  return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

/// The number that `bits` low bits of a register stand for.
Big number(std::uint64_t word, const IntegerType& type) {
  const std::uint64_t low = word & ones(type.bits);
  Big value = static_cast<Big>(low);
  if (type.is_signed && (low >> (type.bits - 1)) != 0) value -= static_cast<Big>(1) << type.bits;
  return value;
}
std::uint64_t word(Big value) {
  return static_cast<std::uint64_t>(value);
}

using Formula = std::function<Big(Big a, Big b, Big c, const IntegerType& type)>;

void check_all(const std::string& opcode, int sources, const Formula& formula,
               bool signed_only = false) {
  for (const IntegerType& type : kTypes) {
    if (signed_only && !type.is_signed) continue;
    Check check;
    check.text = opcode + "." + type.name;
    const Words& values = sources == 3 ? kFewIntegers : kIntegers;
    check.values.assign(static_cast<std::size_t>(sources), values);
    check.result_mask = ones(type.bits);
    check.reference = [&](const Sources& s) {
      return word(formula(number(s[0], type), number(s[1], type), number(s[2], type), type));
    };
    run_check(check);
  }
}

Big smallest(const IntegerType& t) {
  return t.is_signed ? -(static_cast<Big>(1) << (t.bits - 1)) : 0;
}
Big largest(const IntegerType& t) {
  return (static_cast<Big>(1) << (t.is_signed ? t.bits - 1 : t.bits)) - 1;
}
Big clamp(Big v, const IntegerType& t) {
  return v < smallest(t) ? smallest(t) : (v > largest(t) ? largest(t) : v);
}

TEST(AluInteger, AddsAndSubtractsWithWrapping) {
  check_all("add", 2, [](Big a, Big b, Big, const IntegerType&) { return a + b; });
  check_all("sub", 2, [](Big a, Big b, Big, const IntegerType&) { return a - b; });
}

TEST(AluInteger, SaturatesWhereItIsWritten) {
  const IntegerType s32{"s32", 32, true};
  const auto run = [&](const std::string& text, const std::function<Big(Big, Big)>& f) {
    run_check({.text = text, .values = {kIntegers, kIntegers}, .reference = [&](const Sources& s) {
                 return word(clamp(f(number(s[0], s32), number(s[1], s32)), s32)) & 0xffffffffu;
               }});
  };
  run("add.sat.s32", [](Big a, Big b) { return a + b; });
  run("sub.s32.sat", [](Big a, Big b) { return a - b; });
}

/// The upper half of a product: of 64 bits its sign matters to the shift.
Big upper_half(Big a, Big b, const IntegerType& t) {
  if (t.is_signed || t.bits < 64) return times(a, b) >> t.bits;
  return static_cast<Big>(static_cast<BigUnsigned>(times(a, b)) >> 64);
}

TEST(AluInteger, MultipliesLowAndHigh) {
  check_all("mul.lo", 2, [](Big a, Big b, Big, const IntegerType&) { return times(a, b); });
  check_all("mul.hi", 2,
            [](Big a, Big b, Big, const IntegerType& t) { return upper_half(a, b, t); });
  check_all("mad.lo", 3, [](Big a, Big b, Big c, const IntegerType&) {
    return static_cast<Big>(static_cast<BigUnsigned>(times(a, b)) + static_cast<BigUnsigned>(c));
  });
  check_all("mad.hi", 3,
            [](Big a, Big b, Big c, const IntegerType& t) { return upper_half(a, b, t) + c; });
}

TEST(AluInteger, MultipliesWide) {
  for (const IntegerType& type : kTypes) {
    if (type.bits == 64) continue;
    const IntegerType wide{"", 2 * type.bits, type.is_signed};
    const std::string name = type.name;
    run_check({.text = "mul.wide." + name,
               .values = {kIntegers, kIntegers},
               .reference = [&](const Sources& s) {
                 return word(number(s[0], type) * number(s[1], type)) & ones(wide.bits);
               }});
    run_check({.text = "mad.wide." + name,
               .values = {kFewIntegers, kFewIntegers, kFewIntegers},
               .reference = [&](const Sources& s) {
                 return word(number(s[0], type) * number(s[1], type) + number(s[2], wide)) &
                        ones(wide.bits);
               }});
  }
}

TEST(AluInteger, MultipliesTwentyFourBits) {
  for (const IntegerType& type : {kTypes[2], kTypes[3]}) {
    const IntegerType part{"", 24, type.is_signed};
    const std::string name = type.name;
    for (const bool high : {false, true}) {
      const std::string half = high ? ".hi." : ".lo.";
      const auto product = [&, high](const Sources& s) {
        return (number(s[0], part) * number(s[1], part)) >> (high ? 16 : 0);
      };
      run_check({.text = "mul24" + half + name,
                 .values = {kIntegers, kIntegers},
                 .reference = [&](const Sources& s) { return word(product(s)) & 0xffffffffu; }});
      run_check({.text = "mad24" + half + name,
                 .values = {kFewIntegers, kFewIntegers, kFewIntegers},
                 .reference = [&](const Sources& s) {
                   return word(product(s) + number(s[2], type)) & 0xffffffffu;
                 }});
    }
  }
}

TEST(AluInteger, DividesWithoutTrapping) {
  // The hardware gives all ones and the dividend for a division by zero.
  check_all("div", 2, [](Big a, Big b, Big, const IntegerType&) { return b == 0 ? -1 : a / b; });
  check_all("rem", 2, [](Big a, Big b, Big, const IntegerType&) { return b == 0 ? a : a % b; });
}

TEST(AluInteger, DividesEveryPairOfRandomWords) {
  std::mt19937_64 random(3);
  Words values;
  for (int i = 0; i < 64; ++i) values.push_back(random() >> (random() % 60));
  for (const IntegerType& type : kTypes) {
    run_check({.text = std::string("div.") + type.name,
               .values = {values, values},
               .reference =
                   [&](const Sources& s) {
                     const Big b = number(s[1], type);
                     return word(b == 0 ? -1 : number(s[0], type) / b);
                   },
               .result_mask = ones(type.bits)});
  }
}

TEST(AluInteger, TakesMagnitudesAndExtremes) {
  check_all(
      "abs", 1, [](Big a, Big, Big, const IntegerType&) { return a < 0 ? -a : a; }, true);
  check_all(
      "neg", 1, [](Big a, Big, Big, const IntegerType&) { return -a; }, true);
  check_all("min", 2, [](Big a, Big b, Big, const IntegerType&) { return a < b ? a : b; });
  check_all("max", 2, [](Big a, Big b, Big, const IntegerType&) { return a < b ? b : a; });
  check_all("sad", 3,
            [](Big a, Big b, Big c, const IntegerType&) { return c + (a < b ? b - a : a - b); });
}

TEST(AluInteger, WorksOnPairsOfHalfWords) {
  const IntegerType s16{"", 16, true}, u16{"", 16, false};
  const auto pairs = [](const Sources& s, const IntegerType& t, const Formula& f) {
    const std::uint64_t low = word(f(number(s[0], t), number(s[1], t), 0, t)) & 0xffffu;
    const std::uint64_t high =
        word(f(number(s[0] >> 16, t), number(s[1] >> 16, t), 0, t)) & 0xffffu;
    return low | high << 16;
  };
  const Formula least = [](Big a, Big b, Big, const IntegerType&) { return a < b ? a : b; };
  const Formula most = [](Big a, Big b, Big, const IntegerType&) { return a < b ? b : a; };
  const Formula relu = [](Big a, Big b, Big, const IntegerType&) {
    const Big m = a < b ? b : a;
    return m < 0 ? 0 : m;
  };
  const Formula sum = [](Big a, Big b, Big, const IntegerType&) { return a + b; };
  const struct {
    const char* text;
    const IntegerType& type;
    const Formula& formula;
  } cases[] = {{"min.s16x2", s16, least}, {"max.s16x2", s16, most},      {"min.u16x2", u16, least},
               {"max.u16x2", u16, most},  {"max.relu.s16x2", s16, relu}, {"add.u16x2", u16, sum},
               {"add.s16x2", s16, sum}};
  for (const auto& c : cases) {
    run_check({.text = c.text,
               .values = {kIntegers, kIntegers},
               .reference = [&](const Sources& s) { return pairs(s, c.type, c.formula); }});
  }
}

TEST(AluInteger, CarriesAcrossAChainOfWords) {
  // 128-bit sums, differences and a 64 x 64 product from 32-bit pieces, per lane.
  std::mt19937_64 random(11);
  alignas(64) std::uint32_t a[4][kLanes], b[4][kLanes], d[4][kLanes];
  for (int part = 0; part < 4; ++part) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool edge = random() % 3 == 0;
      a[part][lane] = edge ? 0xffffffffu : static_cast<std::uint32_t>(random());
      b[part][lane] =
          edge ? (random() % 2 != 0u ? 0xffffffffu : 0u) : static_cast<std::uint32_t>(random());
    }
  }
  const auto whole = [](const std::uint32_t(&rows)[4][kLanes], int lane) {
    __extension__ unsigned __int128 value = 0;
    for (int part = 3; part >= 0; --part) value = value << 32 | rows[part][lane];
    return value;
  };
  for (const bool subtract : {false, true}) {
    std::uint32_t carry = 0x5a5a5a5au;
    const char* texts[2][3] = {{"add.cc.u32", "addc.cc.u32", "addc.u32"},
                               {"sub.cc.s32", "subc.cc.s32", "subc.s32"}};
    for (int part = 0; part < 4; ++part) {
      std::string why;
      const char* text = texts[subtract][part == 0 ? 0 : (part == 3 ? 2 : 1)];
      const AluEntry entry = find_alu(instruction(text, 3), why);
      ASSERT_NE(entry.function, nullptr) << why;
      EXPECT_EQ(entry.reads_carry, part > 0);
      EXPECT_EQ(entry.writes_carry, part < 3);
      AluOperands o;
      o.d = d[part];
      o.a = a[part];
      o.b = b[part];
      o.carry = &carry;
      entry.function(o, 0xffffffffu);
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto expected =
          subtract ? whole(a, lane) - whole(b, lane) : whole(a, lane) + whole(b, lane);
      EXPECT_TRUE(whole(d, lane) == expected) << "lane " << lane << " subtract " << subtract;
    }
  }
}

TEST(AluInteger, CarriesThroughMultiplyAdd) {
  std::mt19937_64 random(5);
  alignas(64) std::uint32_t a[kLanes], b[kLanes], low[kLanes], high[kLanes];
  std::uint64_t expected[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) {
    a[lane] = static_cast<std::uint32_t>(random());
    b[lane] = lane < 4 ? 0xffffffffu : static_cast<std::uint32_t>(random());
    const std::uint64_t c = random();
    low[lane] = static_cast<std::uint32_t>(c);
    high[lane] = static_cast<std::uint32_t>(c >> 32);
    expected[lane] = std::uint64_t{a[lane]} * b[lane] + c;
  }
  std::uint32_t carry = 0;
  for (const bool upper : {false, true}) {
    std::string why;
    const AluEntry entry = find_alu(instruction(upper ? "madc.hi.u32" : "mad.lo.cc.u32", 4), why);
    ASSERT_NE(entry.function, nullptr) << why;
    AluOperands o;
    o.a = a;
    o.b = b;
    o.c = o.d = upper ? high : low;
    o.carry = &carry;
    entry.function(o, 0xffffffffu);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(std::uint64_t{high[lane]} << 32 | low[lane], expected[lane]);
  }
}

TEST(AluInteger, LeavesTheCarryOfIdleLanes) {
  alignas(64) std::uint32_t a[kLanes], d[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) a[lane] = 0xffffffffu;
  std::string why;
  std::uint32_t carry = 0xffff0000u;
  AluOperands o;
  o.d = d;
  o.a = o.b = a;
  o.carry = &carry;
  find_alu(instruction("add.cc.u32", 3), why).function(o, 0x000000ffu);
  EXPECT_EQ(carry, 0xffff00ffu);
}

TEST(AluInteger, ComputesDotProductsOfBytes) {
  for (const std::string a : {"u32", "s32"}) {
    for (const std::string b : {"u32", "s32"}) {
      const IntegerType byte_a{"", 8, a == "s32"}, byte_b{"", 8, b == "s32"};
      const IntegerType half_a{"", 16, a == "s32"};
      run_check({.text = "dp4a." + a + "." + b,
                 .values = {kFewIntegers, kFewIntegers, kFewIntegers},
                 .reference = [&](const Sources& s) {
                   Big sum = static_cast<Big>(s[2]);
                   for (int i = 0; i < 4; ++i) {
                     sum += number(s[0] >> (8 * i), byte_a) * number(s[1] >> (8 * i), byte_b);
                   }
                   return word(sum) & 0xffffffffu;
                 }});
      for (const int high : {0, 1}) {
        run_check({.text = std::string("dp2a.") + (high != 0 ? "hi." : "lo.") + a + "." + b,
                   .values = {kFewIntegers, kFewIntegers, kFewIntegers},
                   .reference = [&](const Sources& s) {
                     Big sum = static_cast<Big>(s[2]);
                     for (int i = 0; i < 2; ++i) {
                       sum += number(s[0] >> (16 * i), half_a) *
                              number(s[1] >> (16 * high + 8 * i), byte_b);
                     }
                     return word(sum) & 0xffffffffu;
                   }});
      }
    }
  }
}

TEST(AluInteger, ComputesPackedVideoOperations) {
  const IntegerType u8{"", 8, false}, s8{"", 8, true};
  const auto bytes = [](const Sources& s, const IntegerType& t, const Formula& f) {
    std::uint64_t result = 0;
    for (int at = 0; at < 32; at += 8) {
      result |= (word(f(number(s[0] >> at, t), number(s[1] >> at, t), 0, t)) & 0xffu) << at;
    }
    return result;
  };
  const Formula difference = [](Big a, Big b, Big, const IntegerType&) {
    return a < b ? b - a : a - b;
  };
  const Formula clamped_sum = [](Big a, Big b, Big, const IntegerType& t) {
    return clamp(a + b, t);
  };
  run_check({.text = "vabsdiff4.u32.u32.u32",
             .values = {kIntegers, kIntegers, {0}},
             .reference = [&](const Sources& s) { return bytes(s, u8, difference); }});
  run_check({.text = "vadd4.s32.s32.s32.sat",
             .values = {kIntegers, kIntegers, {0}},
             .reference = [&](const Sources& s) { return bytes(s, s8, clamped_sum); }});
  run_check({.text = "vabsdiff4.u32.u32.u32.add",
             .values = {kFewIntegers, kFewIntegers, kFewIntegers},
             .reference = [&](const Sources& s) {
               std::uint64_t sum = s[2];
               for (int at = 0; at < 32; at += 8) {
                 sum += word(difference(number(s[0] >> at, u8), number(s[1] >> at, u8), 0, u8));
               }
               return sum & 0xffffffffu;
             }});
}

TEST(AluInteger, NamesWhatItDoesNotKnow) {
  std::string why;
  EXPECT_EQ(find_alu(instruction("frobnicate.s32", 3), why).function, nullptr);
  EXPECT_NE(why.find("frobnicate"), std::string::npos);
  EXPECT_EQ(find_alu(instruction("add.sideways.s32", 3), why).function, nullptr);
  EXPECT_NE(why.find("sideways"), std::string::npos);
  EXPECT_FALSE(supported("add.sat.u32", 3));
  EXPECT_FALSE(supported("add.f32.f16", 3));
  EXPECT_FALSE(supported("mul.s32", 3));
}

}  // namespace
}  // namespace gpusim::test
