// All instruction sets compute the same bits: what a test sees does not depend on the machine.
#include "alu_support.hpp"
#include "execute/alu/targets.hpp"

namespace gpusim::test {
namespace {

struct Sample {
  const char* text;
  int operands;
};
const Sample kSamples[] = {
    {"add.f32", 3},
    {"add.rz.ftz.f32", 3},
    {"mul.sat.f32", 3},
    {"fma.rn.f32", 4},
    {"fma.rp.f64", 4},
    {"div.rn.f32", 3},
    {"div.approx.f32", 3},
    {"sqrt.rn.f64", 2},
    {"ex2.approx.f32", 2},
    {"lg2.approx.f32", 2},
    {"sin.approx.f32", 2},
    {"cos.approx.ftz.f32", 2},
    {"tanh.approx.f32", 2},
    {"rsqrt.approx.f32", 2},
    {"min.NaN.f32", 3},
    {"add.f16x2", 3},
    {"fma.rn.f16", 4},
    {"fma.rn.bf16x2", 4},
    {"ex2.approx.f16x2", 2},
    {"tanh.approx.bf16", 2},
    {"mad.wide.s32", 4},
    {"mul.hi.u64", 3},
    {"div.u32", 3},
    {"rem.s64", 3},
    {"shf.l.clamp.b32", 4},
    {"bfe.s64", 4},
    {"bfind.s32", 2},
    {"prmt.b32", 4},
    {"lop3.b32", 4},
    {"popc.b64", 2},
    {"cvt.rni.s32.f32", 2},
    {"cvt.rzi.u32.f32", 2},
    {"cvt.rzi.u64.f64", 2},
    {"cvt.rn.f32.u64", 2},
    {"cvt.rm.f32.u32", 2},
    {"cvt.rn.f16.f32", 2},
    {"cvt.rp.bf16.f64", 2},
    {"cvt.rn.satfinite.e4m3x2.f32", 3},
    {"setp.ltu.f32", 3},
    {"setp.ge.u64", 3},
    {"set.le.f32.s32", 3},
    {"dp4a.s32.u32", 4},
    {"vabsdiff4.u32.u32.u32.add", 4},
};

std::vector<AluTarget> targets() {
  std::vector<AluTarget> result = {{"baseline", baseline::find_all, baseline::find_product}};
#if defined(__x86_64__)
  const std::string best = alu_target();
  if (best != "baseline") result.push_back({"AVX2", avx2::find_all, avx2::find_product});
  if (best == "AVX-512") result.push_back({"AVX-512", avx512::find_all, avx512::find_product});
#endif
  return result;
}

void fill_edges(Row& row, int bits, std::mt19937_64& random) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t any = random();
    std::uint64_t value = any;
    switch (any % 4) {
      case 0:
        value = kFloats[any / 4 % kFloats.size()];
        break;
      case 1:
        value = kIntegers[any / 4 % kIntegers.size()];
        break;
      case 2:
        value = kDoubles[any / 4 % kDoubles.size()];
        break;
      default:
        break;
    }
    row.set(lane, value, bits);
  }
}

/// Which of two NaNs an f64 result takes its payload from is the one thing that is left open.
void forget_payloads(Row& row) {
  for (int lane = 0; lane < kLanes; ++lane) {
    const double value = as_f64(row.get(lane, 64));
    if (value != value) row.set(lane, 0x7ff8000000000000ull, 64);
  }
}

TEST(AluTargets, AgreeOnEveryBit) {
  for (const Sample& sample : kSamples) {
    Form form;
    std::string why;
    ASSERT_TRUE(parse_form(instruction(sample.text, sample.operands), form, why)) << why;
    std::mt19937_64 random(31);
    for (int round = 0; round < 40; ++round) {
      std::vector<Row> results;
      const std::uint64_t seed = random();
      for (const AluTarget& target : targets()) {
        const AluEntry entry = target.find(form);
        ASSERT_NE(entry.function, nullptr) << sample.text << " on " << target.name;
        std::mt19937_64 inputs(seed);
        Row a, b, c, e, d;
        fill_edges(a, entry.a_bits, inputs);
        fill_edges(b, entry.b_bits == 0 ? 32 : entry.b_bits, inputs);
        fill_edges(c, entry.c_bits == 0 ? 32 : entry.c_bits, inputs);
        fill_edges(e, 32, inputs);
        AluOperands o;
        o.d = d.data();
        o.a = a.data();
        o.b = b.data();
        o.c = c.data();
        o.e = e.data();
        o.immediate = 0xe2;
        entry.function(o, round % 2 == 0 ? 0xffffffffu : 0x0ff0a55au);
        if (std::string(sample.text).ends_with(".f64") && entry.d_bits == 64) forget_payloads(d);
        results.push_back(d);
      }
      for (std::size_t i = 1; i < results.size(); ++i) {
        EXPECT_EQ(std::memcmp(results[0].data(), results[i].data(), sizeof(Row)), 0)
            << sample.text << " differs on " << targets()[i].name;
      }
    }
  }
}

TEST(AluTargets, AgreeOnMatrixProducts) {
  MatrixForm forms[4];
  forms[0] = {false, 16, 8, 16, Element::kF32, Element::kF16, Element::kF16, Element::kF32, false};
  forms[1] = {false,         16,   8, 16, Element::kF32, Element::kBf16, Element::kBf16,
              Element::kF32, false};
  forms[2] = {false, 16, 8, 8, Element::kF32, Element::kTf32, Element::kTf32, Element::kF32, false};
  forms[3] = {false, 16, 8, 32, Element::kS32, Element::kS8, Element::kU8, Element::kS32, true};
  for (const MatrixForm& form : forms) {
    std::vector<std::vector<Row>> results;
    for (const AluTarget& target : targets()) {
      std::mt19937 random(2);
      std::vector<Row> rows(16);
      const bool integers = form.d == Element::kS32;
      for (Row& row : rows) {
        for (int lane = 0; lane < kLanes; ++lane) {
          // Finite numbers near one in both halves, or any bytes.
          row.set(lane, integers ? random() : (random() & 0x007f807fu) | 0x3f003f00u, 32);
        }
      }
      const void *a[4], *b[2], *c[4];
      void* d[4];
      for (int i = 0; i < 4; ++i) {
        a[i] = rows[static_cast<std::size_t>(i)].data();
        c[i] = rows[static_cast<std::size_t>(8 + i)].data();
        d[i] = rows[static_cast<std::size_t>(12 + i)].data();
      }
      for (int i = 0; i < 2; ++i) b[i] = rows[static_cast<std::size_t>(4 + i)].data();
      const MmaFunction product = target.find_product(form);
      ASSERT_NE(product, nullptr);
      product({d, a, b, c});
      results.push_back(rows);
    }
    for (std::size_t i = 1; i < results.size(); ++i) {
      for (std::size_t row = 12; row < 16; ++row) {
        EXPECT_EQ(std::memcmp(results[0][row].data(), results[i][row].data(), 4 * kLanes), 0)
            << targets()[i].name;
      }
    }
  }
}

}  // namespace
}  // namespace gpusim::test
