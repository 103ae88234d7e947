// Logic, shifts, fields and permutations against loops over single bits.
#include "alu_support.hpp"

namespace gpusim::test {
namespace {

const Words kAmounts = {0, 1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 0x80000000u, ~0u};

std::uint64_t ones(int bits) {
  return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

TEST(AluBits, CombinesBits) {
  const struct {
    const char* name;
    std::uint64_t (*formula)(std::uint64_t, std::uint64_t);
  } operations[] = {{"and", [](std::uint64_t a, std::uint64_t b) { return a & b; }},
                    {"or", [](std::uint64_t a, std::uint64_t b) { return a | b; }},
                    {"xor", [](std::uint64_t a, std::uint64_t b) { return a ^ b; }}};
  for (const auto& op : operations) {
    for (const int bits : {16, 32, 64}) {
      run_check({.text = std::string(op.name) + ".b" + std::to_string(bits),
                 .values = {kIntegers, kIntegers},
                 .reference = [&](const Sources& s) { return op.formula(s[0], s[1]); },
                 .result_mask = ones(bits)});
    }
  }
  for (const int bits : {16, 32, 64}) {
    const std::string type = ".b" + std::to_string(bits);
    run_check({.text = "not" + type,
               .values = {kIntegers},
               .reference = [](const Sources& s) { return ~s[0]; },
               .result_mask = ones(bits)});
    run_check({.text = "cnot" + type,
               .values = {kIntegers},
               .reference = [&](const Sources& s) { return (s[0] & ones(bits)) == 0 ? 1u : 0u; },
               .result_mask = ones(bits)});
    run_check({.text = "mov" + type,
               .values = {kIntegers},
               .reference = [](const Sources& s) { return s[0]; },
               .result_mask = ones(bits)});
  }
}

TEST(AluBits, ComputesPredicates) {
  const Words both = {0, 1};
  run_check({.text = "and.pred", .values = {both, both}, .reference = [](const Sources& s) {
               return s[0] & s[1];
             }});
  run_check({.text = "xor.pred", .values = {both, both}, .reference = [](const Sources& s) {
               return s[0] ^ s[1];
             }});
  run_check({.text = "or.pred", .values = {both, both}, .reference = [](const Sources& s) {
               return s[0] | s[1];
             }});
  run_check({.text = "not.pred", .values = {both}, .reference = [](const Sources& s) {
               return s[0] ^ 1u;
             }});
  run_check(
      {.text = "mov.pred", .values = {both}, .reference = [](const Sources& s) { return s[0]; }});
}

TEST(AluBits, NegatesPredicateOperands) {
  std::string why;
  const AluEntry entry = find_alu(instruction("and.pred", 3), why);
  std::uint32_t a = 0x0000ffffu, b = 0x00ff00ffu, d = 0;
  AluOperands o;
  o.d = &d;
  o.a = &a;
  o.b = &b;
  o.negate_b = true;
  entry.function(o, 0xffffffffu);
  EXPECT_EQ(d, a & ~b);
  o.negate_a = true;
  d = 0xf0000000u;
  entry.function(o, 0x0fffffffu);
  EXPECT_EQ(d, 0xf0000000u | (~a & ~b & 0x0fffffffu));
}

TEST(AluBits, ClampsShiftAmounts) {
  for (const int bits : {16, 32, 64}) {
    const std::string width = std::to_string(bits);
    run_check({.text = "shl.b" + width,
               .values = {kIntegers, kAmounts},
               .reference =
                   [&](const Sources& s) {
                     return s[1] >= static_cast<unsigned>(bits) ? 0 : s[0] << s[1];
                   },
               .result_mask = ones(bits)});
    for (const std::string unsigned_type : {"b", "u"}) {
      run_check({.text = "shr." + unsigned_type + width,
                 .values = {kIntegers, kAmounts},
                 .reference =
                     [&](const Sources& s) {
                       return s[1] >= static_cast<unsigned>(bits) ? 0 : (s[0] & ones(bits)) >> s[1];
                     },
                 .result_mask = ones(bits)});
    }
    run_check({.text = "shr.s" + width,
               .values = {kIntegers, kAmounts},
               .reference =
                   [&](const Sources& s) {
                     const int unused = 64 - bits;
                     const auto value = static_cast<std::int64_t>(s[0] << unused) >> unused;
                     const int n =
                         s[1] >= static_cast<unsigned>(bits) ? bits - 1 : static_cast<int>(s[1]);
                     return static_cast<std::uint64_t>(value >> n);
                   },
               .result_mask = ones(bits)});
  }
}

TEST(AluBits, FunnelShifts) {
  for (const bool left : {true, false}) {
    for (const bool wrap : {true, false}) {
      run_check(
          {.text = std::string("shf.") + (left ? "l" : "r") + (wrap ? ".wrap" : ".clamp") + ".b32",
           .values = {kFewIntegers, kFewIntegers, kAmounts},
           .reference = [&](const Sources& s) {
             const std::uint64_t n = wrap ? s[2] & 31 : (s[2] > 32 ? 32 : s[2]);
             const std::uint64_t lo = s[0] & 0xffffffffu, hi = s[1] & 0xffffffffu;
             // As the manual writes it, with shifts by 32 giving zero.
             const std::uint64_t r =
                 left ? (hi << n) | (lo >> (32 - n)) : (lo >> n) | (hi << (32 - n));
             return r & 0xffffffffu;
           }});
    }
  }
}

TEST(AluBits, LooksUpThreeInputLogic) {
  for (std::uint32_t table = 0; table < 256; ++table) {
    run_check({.text = "lop3.b32",
               .values = {{0xf0f0f0f0u, 0x12345678u}, {0xccccccccu, 0}, {0xaaaaaaaau, 0xffff0000u}},
               .reference =
                   [&](const Sources& s) {
                     std::uint64_t r = 0;
                     for (int i = 0; i < 32; ++i) {
                       const auto bit = [&](int k) { return s[k] >> i & 1u; };
                       r |= std::uint64_t{table >> (bit(0) * 4 + bit(1) * 2 + bit(2)) & 1u} << i;
                     }
                     return r;
                   },
               .immediate = table});
  }
}

TEST(AluBits, ExtractsAndInsertsFields) {
  for (const int bits : {32, 64}) {
    for (const bool is_signed : {false, true}) {
      run_check({.text = std::string("bfe.") + (is_signed ? "s" : "u") + std::to_string(bits),
                 .values = {kFewIntegers, kAmounts, kAmounts},
                 .reference = [&](const Sources& s) {
                   const int msb = bits - 1;
                   const int pos = static_cast<int>(s[1] & 255), len = static_cast<int>(s[2] & 255);
                   std::uint64_t sign = 0;
                   if (is_signed && len != 0) {
                     const int at = pos + len - 1 < msb ? pos + len - 1 : msb;
                     sign = s[0] >> at & 1u;
                   }
                   std::uint64_t r = 0;
                   for (int i = 0; i <= msb; ++i) {
                     const bool inside = i < len && pos + i <= msb;
                     r |= (inside ? s[0] >> (pos + i) & 1u : sign) << i;
                   }
                   return r;
                 }});
    }
    run_check({.text = "bfi.b" + std::to_string(bits),
               .values = {kFewIntegers, kFewIntegers, kAmounts, kAmounts},
               .reference = [&](const Sources& s) {
                 const int pos = static_cast<int>(s[2] & 255), len = static_cast<int>(s[3] & 255);
                 std::uint64_t r = s[1] & ones(bits);
                 for (int i = 0; i < len && pos + i < bits; ++i) {
                   r = (r & ~(1ull << (pos + i))) | (s[0] >> i & 1u) << (pos + i);
                 }
                 return r;
               }});
  }
}

TEST(AluBits, CountsAndFindsBits) {
  for (const int bits : {32, 64}) {
    const std::string width = std::to_string(bits);
    run_check({.text = "popc.b" + width, .values = {kIntegers}, .reference = [&](const Sources& s) {
                 return static_cast<std::uint64_t>(std::popcount(s[0] & ones(bits)));
               }});
    run_check({.text = "clz.b" + width, .values = {kIntegers}, .reference = [&](const Sources& s) {
                 return static_cast<std::uint64_t>(std::countl_zero(s[0] & ones(bits)) -
                                                   (64 - bits));
               }});
    run_check({.text = "brev.b" + width, .values = {kIntegers}, .reference = [&](const Sources& s) {
                 std::uint64_t r = 0;
                 for (int i = 0; i < bits; ++i) r |= (s[0] >> i & 1u) << (bits - 1 - i);
                 return r;
               }});
    for (const bool is_signed : {false, true}) {
      for (const bool amount : {false, true}) {
        run_check({.text = std::string("bfind.") + (amount ? "shiftamt." : "") +
                           (is_signed ? "s" : "u") + width,
                   .values = {kIntegers},
                   .reference = [&](const Sources& s) {
                     std::uint64_t v = s[0] & ones(bits);
                     if (is_signed && (v >> (bits - 1) & 1u) != 0) v = ~v & ones(bits);
                     std::uint64_t r = 0xffffffffu;
                     for (int i = 0; i < bits; ++i) {
                       if ((v >> i & 1u) != 0) r = static_cast<std::uint64_t>(i);
                     }
                     return amount && r != 0xffffffffu ? static_cast<std::uint64_t>(bits - 1) - r
                                                       : r;
                   }});
      }
    }
  }
  run_check({.text = "fns.b32",
             .values = {kFewIntegers, {0, 3, 16, 31}, {0, 1, 2, 5, 0xffffffffu, 0xfffffffdu}},
             .reference = [](const Sources& s) -> std::uint64_t {
               const int offset = static_cast<int>(static_cast<std::uint32_t>(s[2]));
               const int base = static_cast<int>(s[1]);
               if (offset == 0) return (s[0] >> base & 1u) != 0 ? s[1] : 0xffffffffu;
               int left = offset < 0 ? -offset : offset;
               for (int i = base; i >= 0 && i < 32; i += offset < 0 ? -1 : 1) {
                 if ((s[0] >> i & 1u) != 0 && --left == 0) return static_cast<std::uint64_t>(i);
               }
               return 0xffffffffu;
             }});
}

TEST(AluBits, MakesMasksAndExtends) {
  for (const bool wrap : {true, false}) {
    const std::string mode = wrap ? "wrap" : "clamp";
    run_check({.text = "bmsk." + mode + ".b32",
               .values = {kAmounts, kAmounts},
               .reference = [&](const Sources& s) {
                 const std::uint64_t at = wrap ? s[0] & 31 : s[0], n = wrap ? s[1] & 31 : s[1];
                 std::uint64_t r = 0;
                 for (std::uint64_t i = 0; i < 32; ++i) {
                   if (i >= at && i - at < n) r |= 1ull << i;
                 }
                 return r;
               }});
    for (const bool is_signed : {false, true}) {
      run_check({.text = "szext." + mode + (is_signed ? ".s32" : ".u32"),
                 .values = {kIntegers, kAmounts},
                 .reference = [&](const Sources& s) -> std::uint64_t {
                   const std::uint64_t n = wrap ? s[1] & 31 : (s[1] > 32 ? 32 : s[1]);
                   if (n == 0) return 0;
                   std::uint64_t r = s[0] & ones(static_cast<int>(n));
                   if (is_signed && (r >> (n - 1) & 1u) != 0) r |= ~ones(static_cast<int>(n));
                   return r & 0xffffffffu;
                 }});
    }
  }
}

TEST(AluBits, PermutesBytes) {
  const Words selectors = {0, 1, 2, 3, 0x3210, 0x7654, 0x0123, 0x8f8f, 0xba98, 0x5410, 0x7632};
  const Words values = {0x03020100u, 0x07060584u, 0x80ff7f00u, 0xdeadbeefu};
  const auto byte = [](const Sources& s, std::uint64_t i) {
    return (i < 4 ? s[0] >> (8 * i) : s[1] >> (8 * (i - 4))) & 0xffu;
  };
  run_check({.text = "prmt.b32",
             .values = {values, values, selectors},
             .reference = [&](const Sources& s) {
               std::uint64_t r = 0;
               for (int i = 0; i < 4; ++i) {
                 const std::uint64_t sel = s[2] >> (4 * i) & 15;
                 std::uint64_t b = byte(s, sel & 7);
                 if ((sel & 8) != 0) b = (b & 0x80) != 0 ? 0xff : 0;
                 r |= b << (8 * i);
               }
               return r;
             }});
  // The manual's tables, most significant byte first, for c = 0 to 3.
  const struct {
    const char* mode;
    const char* rows[4];
  } tables[] = {
      {"f4e", {"3210", "4321", "5432", "6543"}}, {"b4e", {"5670", "6701", "7012", "0123"}},
      {"rc8", {"0000", "1111", "2222", "3333"}}, {"ecl", {"3210", "3211", "3222", "3333"}},
      {"ecr", {"0000", "1110", "2210", "3210"}}, {"rc16", {"1010", "3232", "1010", "3232"}}};
  for (const auto& table : tables) {
    run_check({.text = std::string("prmt.b32.") + table.mode,
               .values = {values, values, selectors},
               .reference = [&](const Sources& s) {
                 std::uint64_t r = 0;
                 for (int i = 0; i < 4; ++i) {
                   const char digit = table.rows[s[2] & 3][3 - i];
                   r |= byte(s, static_cast<std::uint64_t>(digit - '0')) << (8 * i);
                 }
                 return r;
               }});
  }
}

TEST(AluBits, SelectsByPredicateAndBySign) {
  for (const std::string type : {"b16", "b32", "f32", "b64", "f64"}) {
    const int bits = type == "b16" ? 16 : (type.back() == '4' ? 64 : 32);
    for (const bool negate : {false, true}) {
      run_check({.text = "selp." + type,
                 .values = {kFewIntegers, kFewIntegers, {0, 1}},
                 .reference = [&](const Sources& s) { return (s[2] != 0) != negate ? s[0] : s[1]; },
                 .result_mask = ones(bits),
                 .negate_c = negate});
    }
  }
  run_check({.text = "slct.u64.s32",
             .values = {kFewIntegers, kFewIntegers, {0, 1, 0x80000000u, 0xffffffffu}},
             .reference = [](const Sources& s) { return (s[2] >> 31) != 0 ? s[1] : s[0]; }});
  run_check(
      {.text = "slct.ftz.b32.f32",
       .values = {{1, 2}, {3, 4}, {f32(0.0f), f32(-0.0f), f32(-1.0f), 0x80000001u, 0x7fc00000u}},
       .reference = [](const Sources& s) {
         const bool second = s[2] == f32(-1.0f) || s[2] == 0x7fc00000u;
         return second ? s[1] : s[0];
       }});
}

}  // namespace
}  // namespace gpusim::test
