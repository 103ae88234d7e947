// mma.sync with the fragment layouts as the PTX manual words them per shape, and wmma through the
// places that find_wmma_layout names; both against products in plain loops.
#include <cmath>

#include "alu_small_float.hpp"
#include "alu_support.hpp"

namespace gpusim::test {
namespace {

/// Element formats as this test sees them: bits, the value of a code, random codes of small
/// integers (whose sums are exact in any order).
struct Element {
  std::string name;
  int bits;
  double (*value)(std::uint64_t code);
  std::uint64_t (*code)(int number);
};

std::uint64_t small_code(int n, const Format& f) {
  return round_to(static_cast<Quad>(n), false, f, Direction::kNearest, true);
}
double small_value(std::uint64_t code, const Format& f) {
  return static_cast<double>(value_of(static_cast<std::uint32_t>(code), f));
}
const Element kElements[] = {
    {"f16", 16, [](std::uint64_t c) { return small_value(c, kF16); },
     [](int n) { return small_code(n, kF16); }},
    {"bf16", 16, [](std::uint64_t c) { return small_value(c, kBf16); },
     [](int n) { return small_code(n, kBf16); }},
    {"tf32", 32, [](std::uint64_t c) { return static_cast<double>(as_f32(c & 0xffffe000u)); },
     // The lower bits of a tf32 operand do not count.
     [](int n) { return f32(static_cast<float>(n)) | (n != 0 ? 0x1fffu : 0u); }},
    {"e4m3", 8, [](std::uint64_t c) { return small_value(c, kE4m3); },
     [](int n) { return small_code(n, kE4m3); }},
    {"e5m2", 8, [](std::uint64_t c) { return small_value(c, kE5m2); },
     [](int n) { return small_code(n, kE5m2); }},
    {"s8", 8, [](std::uint64_t c) { return static_cast<double>(static_cast<std::int8_t>(c)); },
     [](int n) { return std::uint64_t{static_cast<std::uint8_t>(n * 16)}; }},
    {"u8", 8, [](std::uint64_t c) { return static_cast<double>(static_cast<std::uint8_t>(c)); },
     [](int n) { return std::uint64_t{static_cast<std::uint8_t>(n * 16)}; }},
    {"s4", 4,
     [](std::uint64_t c) {
       return static_cast<double>((c & 8u) != 0 ? static_cast<int>(c) - 16 : static_cast<int>(c));
     },
     [](int n) { return std::uint64_t{static_cast<unsigned>(n) & 15u}; }},
    {"u4", 4, [](std::uint64_t c) { return static_cast<double>(c); },
     [](int n) { return std::uint64_t{static_cast<unsigned>(n) & 15u}; }},
    {"f64", 64, [](std::uint64_t c) { return as_f64(c); },
     [](int n) { return f64(static_cast<double>(n)); }},
    {"f32", 32, [](std::uint64_t c) { return static_cast<double>(as_f32(c)); },
     [](int n) { return f32(static_cast<float>(n)); }},
    {"s32", 32, [](std::uint64_t c) { return static_cast<double>(static_cast<std::int32_t>(c)); },
     [](int n) { return std::uint64_t{static_cast<std::uint32_t>(n)}; }},
};
const Element& element(const std::string& name) {
  for (const Element& e : kElements) {
    if (e.name == name) return e;
  }
  throw std::out_of_range(name);
}

struct Place {
  int row, column;
};
/// A fragment: its registers, and where element i of a lane (i counted over registers) lies.
struct Fragment {
  const Element* element;
  int rows, columns, registers;
  std::function<Place(int lane, int i)> place;
  int per_register() const { return element->bits >= 32 ? 1 : 32 / element->bits; }
};

/// Fills registers from a matrix of codes.
std::vector<Row> scatter(const Fragment& f, const std::vector<std::uint64_t>& codes) {
  std::vector<Row> registers(static_cast<std::size_t>(f.registers));
  const int per = f.per_register();
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int reg = 0; reg < f.registers; ++reg) {
      std::uint64_t word = 0;
      for (int e = 0; e < per; ++e) {
        const Place p = f.place(lane, reg * per + e);
        const std::uint64_t code = codes[static_cast<std::size_t>(p.row * f.columns + p.column)];
        word |= code << (e * (per == 1 ? 0 : f.element->bits));
      }
      registers[static_cast<std::size_t>(reg)].set(lane, word, f.element->bits == 64 ? 64 : 32);
    }
  }
  return registers;
}

std::vector<std::uint64_t> random_codes(const Fragment& f, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint64_t> codes(static_cast<std::size_t>(f.rows * f.columns));
  for (std::uint64_t& code : codes) code = f.element->code(static_cast<int>(random() % 15) - 7);
  return codes;
}

void check_product(const std::string& text, const Fragment& a, const Fragment& b, const Fragment& c,
                   const Fragment& d) {
  std::string why;
  const MmaEntry entry = find_mma(instruction(text, 4), why);
  ASSERT_NE(entry.function, nullptr) << text << ": " << why;
  EXPECT_EQ(entry.a_rows, a.registers) << text;
  EXPECT_EQ(entry.b_rows, b.registers) << text;
  EXPECT_EQ(entry.c_rows, c.registers) << text;
  EXPECT_EQ(entry.d_rows, d.registers) << text;
  EXPECT_EQ(entry.flops, 2.0 * a.rows * b.columns * a.columns);
  const auto codes_a = random_codes(a, 1), codes_b = random_codes(b, 2),
             codes_c = random_codes(c, 3);
  std::vector<Row> rows_a = scatter(a, codes_a), rows_b = scatter(b, codes_b),
                   rows_c = scatter(c, codes_c);
  for (const bool in_place : {false, true}) {
    std::vector<Row> rows_d = in_place ? rows_c : std::vector<Row>(rows_c.size());
    if (in_place && c.registers != d.registers) continue;
    rows_d.resize(static_cast<std::size_t>(d.registers));
    std::vector<const void*> pa, pb, pc;
    std::vector<void*> pd;
    for (Row& row : rows_a) pa.push_back(row.data());
    for (Row& row : rows_b) pb.push_back(row.data());
    for (Row& row : in_place ? rows_d : rows_c) pc.push_back(row.data());
    for (Row& row : rows_d) pd.push_back(row.data());
    entry.function({pd.data(), pa.data(), pb.data(), pc.data()});
    int failures = 0;
    const int per = d.per_register();
    for (int lane = 0; lane < kLanes && failures < 3; ++lane) {
      for (int i = 0; i < d.registers * per; ++i) {
        const Place p = d.place(lane, i);
        double expected =
            c.element->value(codes_c[static_cast<std::size_t>(p.row * c.columns + p.column)]);
        for (int k = 0; k < a.columns; ++k) {
          expected += a.element->value(codes_a[static_cast<std::size_t>(p.row * a.columns + k)]) *
                      b.element->value(codes_b[static_cast<std::size_t>(k * b.columns + p.column)]);
        }
        const std::uint64_t word =
            rows_d[static_cast<std::size_t>(i / per)].get(lane, d.element->bits == 64 ? 64 : 32);
        const std::uint64_t code = per == 1 ? word : word >> (16 * (i % 2)) & 0xffffu;
        if (d.element->value(code) == expected) continue;
        ++failures;
        ADD_FAILURE() << text << " at " << p.row << ", " << p.column << ": expected " << expected
                      << ", got " << d.element->value(code);
      }
    }
  }
}

/// The accumulator of m16n8 and m8n8: c0, c1 in row g, c2, c3 in row g + 8, columns 2t and 2t + 1.
Fragment accumulator(const std::string& type, int m) {
  const Element& e = element(type);
  const int elements = m == 16 ? 4 : 2;
  return {&e, m, 8, type == "f16" ? elements / 2 : elements, [](int lane, int i) {
            return Place{lane / 4 + (i >= 2 ? 8 : 0), lane % 4 * 2 + (i & 1)};
          }};
}

struct Case {
  std::string shape;
  int m, k;
  std::vector<std::string> elements;
  std::vector<std::string> accumulators;
  int a_registers, b_registers;
  Place (*place_a)(int g, int t, int i);
  Place (*place_b)(int g, int t, int i);  // row k, column n
};

TEST(AluMma, MultipliesEveryShape) {
  const Case cases[] = {
      {"m16n8k8",
       16,
       8,
       {"f16", "bf16"},
       {"f32", "f16"},
       2,
       1,
       [](int g, int t, int i) {
         return Place{i < 2 ? g : g + 8, t * 2 + (i & 1)};
       },
       [](int g, int t, int i) {
         return Place{t * 2 + i, g};
       }},
      {"m16n8k16",
       16,
       16,
       {"f16", "bf16"},
       {"f32", "f16"},
       4,
       2,
       [](int g, int t, int i) {
         return Place{i < 2 || (i >= 4 && i < 6) ? g : g + 8, t * 2 + (i & 1) + (i < 4 ? 0 : 8)};
       },
       [](int g, int t, int i) {
         return Place{t * 2 + (i & 1) + (i < 2 ? 0 : 8), g};
       }},
      {"m16n8k4",
       16,
       4,
       {"tf32"},
       {"f32"},
       2,
       1,
       [](int g, int t, int i) {
         return Place{i == 0 ? g : g + 8, t};
       },
       [](int g, int t, int) {
         return Place{t, g};
       }},
      {"m16n8k8",
       16,
       8,
       {"tf32"},
       {"f32"},
       4,
       2,
       [](int g, int t, int i) {
         return Place{i % 2 == 0 ? g : g + 8, i < 2 ? t : t + 4};
       },
       [](int g, int t, int i) {
         return Place{i == 0 ? t : t + 4, g};
       }},
      {"m16n8k16",
       16,
       16,
       {"s8", "u8"},
       {"s32"},
       2,
       1,
       [](int g, int t, int i) {
         return Place{i < 4 ? g : g + 8, t * 4 + (i & 3)};
       },
       [](int g, int t, int i) {
         return Place{t * 4 + i, g};
       }},
      {"m16n8k32",
       16,
       32,
       {"s8", "u8"},
       {"s32"},
       4,
       2,
       [](int g, int t, int i) {
         return Place{i < 4 || (i >= 8 && i < 12) ? g : g + 8, t * 4 + (i & 3) + (i < 8 ? 0 : 16)};
       },
       [](int g, int t, int i) {
         return Place{t * 4 + (i & 3) + (i < 4 ? 0 : 16), g};
       }},
      {"m16n8k32",
       16,
       32,
       {"e4m3", "e5m2"},
       {"f32"},
       4,
       2,
       [](int g, int t, int i) {
         return Place{i < 4 || (i >= 8 && i < 12) ? g : g + 8, t * 4 + (i & 3) + (i < 8 ? 0 : 16)};
       },
       [](int g, int t, int i) {
         return Place{t * 4 + (i & 3) + (i < 4 ? 0 : 16), g};
       }},
      {"m8n8k16",
       8,
       16,
       {"s8", "u8"},
       {"s32"},
       1,
       1,
       [](int g, int t, int i) {
         return Place{g, t * 4 + i};
       },
       [](int g, int t, int i) {
         return Place{t * 4 + i, g};
       }},
      {"m8n8k32",
       8,
       32,
       {"s4", "u4"},
       {"s32"},
       1,
       1,
       [](int g, int t, int i) {
         return Place{g, t * 8 + i};
       },
       [](int g, int t, int i) {
         return Place{t * 8 + i, g};
       }},
      {"m16n8k64",
       16,
       64,
       {"s4", "u4"},
       {"s32"},
       4,
       2,
       [](int g, int t, int i) {
         return Place{i < 8 || (i >= 16 && i < 24) ? g : g + 8,
                      t * 8 + (i & 7) + (i < 16 ? 0 : 32)};
       },
       [](int g, int t, int i) {
         return Place{t * 8 + (i & 7) + (i < 8 ? 0 : 32), g};
       }},
      {"m8n8k4",
       8,
       4,
       {"f64"},
       {"f64"},
       1,
       1,
       [](int g, int t, int) {
         return Place{g, t};
       },
       [](int g, int t, int) {
         return Place{t, g};
       }},
      {"m16n8k8",
       16,
       8,
       {"f64"},
       {"f64"},
       4,
       2,
       [](int g, int t, int i) {
         return Place{i % 2 == 0 ? g : g + 8, i < 2 ? t : t + 4};
       },
       [](int g, int t, int i) {
         return Place{t + 4 * i, g};
       }},
      {"m16n8k16",
       16,
       16,
       {"f64"},
       {"f64"},
       8,
       4,
       [](int g, int t, int i) {
         return Place{i % 2 == 0 ? g : g + 8, t + 4 * (i / 2)};
       },
       [](int g, int t, int i) {
         return Place{t + 4 * i, g};
       }},
  };
  for (const Case& c : cases) {
    for (const std::string& type_a : c.elements) {
      for (const std::string& type_b : c.elements) {
        // Only the integer and 8-bit kinds mix.
        if (type_a != type_b && element(type_a).bits > 8) continue;
        for (const std::string& acc : c.accumulators) {
          if (type_a == "bf16" && acc == "f16") continue;
          const Fragment a{&element(type_a), c.m, c.k, c.a_registers,
                           [&](int lane, int i) { return c.place_a(lane / 4, lane % 4, i); }};
          const Fragment b{&element(type_b), c.k, 8, c.b_registers,
                           [&](int lane, int i) { return c.place_b(lane / 4, lane % 4, i); }};
          const Fragment sum = accumulator(acc, c.m);
          check_product("mma.sync.aligned." + c.shape + ".row.col." + acc + "." + type_a + "." +
                            type_b + "." + acc,
                        a, b, sum, sum);
        }
      }
    }
  }
}

Fragment from_layout(const std::string& text, const std::string& type) {
  WmmaLayout layout;
  std::string why;
  EXPECT_TRUE(find_wmma_layout(instruction(text, 2), layout, why)) << text << ": " << why;
  EXPECT_EQ(layout.element_bytes * 8, element(type).bits);
  const int per = layout.elements_per_register;
  auto* const place = layout.place;
  return {&element(type), layout.rows, layout.columns, layout.registers,
          [place, per](int lane, int i) {
            Place p{};
            place(lane, i / per, i % per, p.row, p.column);
            return p;
          }};
}

TEST(AluMma, MultipliesWmmaFragmentsInTheirOwnLayouts) {
  const struct {
    std::string shape, type, load_space;
  } cases[] = {
      {"m16n16k16", "f16", "shared"}, {"m8n32k16", "f16", "global"}, {"m32n8k16", "f16", ""},
      {"m16n16k16", "bf16", ""},      {"m8n32k16", "bf16", ""},      {"m32n8k16", "bf16", ""},
      {"m16n16k16", "u8", ""},        {"m16n16k16", "s8", ""},       {"m8n32k16", "s8", ""},
      {"m32n8k16", "u8", ""},         {"m16n16k8", "tf32", ""},      {"m8n8k4", "f64", ""}};
  for (const auto& c : cases) {
    const std::string space = c.load_space.empty() ? "" : "." + c.load_space;
    const auto load = [&](const std::string& which, const std::string& type) {
      return from_layout("wmma.load." + which + ".sync.aligned.row." + c.shape + space + "." + type,
                         type);
    };
    const Fragment a = load("a", c.type), b = load("b", c.type);
    const bool integer = element(c.type).bits == 8;
    std::vector<std::string> accumulators = {c.type == "f64" ? "f64" : (integer ? "s32" : "f32")};
    if (c.type == "f16") accumulators.push_back("f16");
    for (const std::string& acc_c : accumulators) {
      for (const std::string& acc_d : accumulators) {
        const std::string types = c.type == "f16"
                                      ? acc_d + "." + acc_c
                                      : acc_d + "." + c.type + "." + c.type + "." + acc_c;
        const Fragment d =
            from_layout("wmma.store.d.sync.aligned.row." + c.shape + space + "." + acc_d, acc_d);
        check_product("wmma.mma.sync.aligned.row.col." + c.shape + "." + types, a, b,
                      load("c", acc_c), d);
      }
    }
  }
}

TEST(AluMma, PlacesEveryElementOfAFragment) {
  for (const std::string text :
       {"wmma.load.a.sync.aligned.row.m16n16k16.f16", "wmma.load.b.sync.aligned.col.m8n32k16.f16",
        "wmma.load.a.sync.aligned.row.m32n8k16.s8", "wmma.load.b.sync.aligned.row.m16n16k8.tf32",
        "wmma.load.c.sync.aligned.row.m32n8k16.f32", "wmma.load.c.sync.aligned.row.m8n32k16.f16"}) {
    WmmaLayout layout;
    std::string why;
    ASSERT_TRUE(find_wmma_layout(instruction(text, 2), layout, why)) << why;
    std::vector<int> seen(static_cast<std::size_t>(layout.rows * layout.columns));
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int reg = 0; reg < layout.registers; ++reg) {
        for (int e = 0; e < layout.elements_per_register; ++e) {
          int row = -1, column = -1;
          layout.place(lane, reg, e, row, column);
          ASSERT_TRUE(row >= 0 && row < layout.rows && column >= 0 && column < layout.columns);
          ++seen[static_cast<std::size_t>(row * layout.columns + column)];
        }
      }
    }
    for (const int count : seen) EXPECT_EQ(count, seen[0]) << text;
    EXPECT_GT(seen[0], 0);
  }
}

TEST(AluMma, AddsInAscendingOrderOfK) {
  // 2^24 absorbs ones that come after it, so the order of the sum shows.
  Row a[4], b[2], c[4], d[4];
  const void *pa[4], *pb[2], *pc[4];
  void* pd[4];
  for (int i = 0; i < 4; ++i) pa[i] = a[i].data(), pc[i] = c[i].data(), pd[i] = d[i].data();
  for (int i = 0; i < 2; ++i) pb[i] = b[i].data();
  std::string why;
  const MmaEntry entry =
      find_mma(instruction("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 4), why);
  for (int lane = 0; lane < kLanes; ++lane) {
    for (Row& row : b) row.set(lane, 0x3f803f80u, 32);
    for (Row& row : a) row.set(lane, 0x3f803f80u, 32);
  }
  // A[0][8] = 2^24: eight ones before it, seven after it.
  a[2].set(0, 0x3f804b80u, 32);
  entry.function({pd, pa, pb, pc});
  EXPECT_EQ(as_f32(d[0].get(0, 32)), 16777224.0f);
  EXPECT_EQ(as_f32(d[0].get(4, 32)), 16.0f);
}

TEST(AluMma, SaturatesIntegersWhereItIsWritten) {
  for (const bool saturate : {false, true}) {
    Row a[2], b, c[4], d[4];
    const void* pa[2] = {a[0].data(), a[1].data()};
    const void* pb[1] = {b.data()};
    const void* pc[4];
    void* pd[4];
    for (int i = 0; i < 4; ++i) pc[i] = c[i].data(), pd[i] = d[i].data();
    for (int lane = 0; lane < kLanes; ++lane) {
      for (Row& row : a) row.set(lane, 0x7f7f7f7fu, 32);
      b.set(lane, 0x01010101u, 32);
      for (Row& row : c) row.set(lane, 0x7fffff00u, 32);
    }
    std::string why;
    const MmaEntry entry =
        find_mma(instruction(std::string("mma.sync.aligned.m16n8k16.row.col.") +
                                 (saturate ? "satfinite." : "") + "s32.s8.s8.s32",
                             4),
                 why);
    ASSERT_NE(entry.function, nullptr) << why;
    entry.function({pd, pa, pb, pc});
    EXPECT_EQ(d[3].get(9, 32), saturate ? 0x7fffffffu : 0x7fffff00u + 16u * 127u);
  }
}

TEST(AluMma, NamesProductsItDoesNotKnow) {
  std::string why;
  EXPECT_EQ(
      find_mma(instruction("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32", 4), why).function,
      nullptr);
  EXPECT_NE(why.find("m8n8k4"), std::string::npos);
  const std::string f64_product = "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64.";
  EXPECT_NE(find_mma(instruction(f64_product + "rn", 4), why).function, nullptr);
  EXPECT_EQ(find_mma(instruction(f64_product + "rz", 4), why).function, nullptr);
  EXPECT_EQ(
      find_mma(instruction("mma.sync.aligned.m16n8k16.row.col.f16.bf16.bf16.f16", 4), why).function,
      nullptr);
  EXPECT_EQ(find_mma(instruction("mma.sp.sync.aligned.m16n8k32.row.col.f32.f16.f16.f32", 5), why)
                .function,
            nullptr);
}

}  // namespace
}  // namespace gpusim::test
