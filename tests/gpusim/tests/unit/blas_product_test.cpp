// Products against naive sums in double: every transposition, type, epilogue and instruction set,
// at sizes around the edges of the tiles.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "blas/kernels.hpp"
#include "blas/product.hpp"

namespace gpusim::blas {
namespace {

using Bytes = std::vector<std::byte>;

/// Storage of rows x columns elements with random values on a grid that every type holds.
struct Stored {
  Bytes bytes;
  Matrix matrix;
  std::int64_t elements;
};

Stored make(std::int64_t rows, std::int64_t columns, Element type, bool transposed,
            std::int64_t padding, unsigned seed) {
  Stored made;
  const std::int64_t leading = (transposed ? columns : rows) + padding;
  made.elements = leading * (transposed ? rows : columns);
  made.bytes.resize(static_cast<std::size_t>(made.elements * size_of(type)));
  std::mt19937 random(seed);
  for (std::int64_t i = 0; i < made.elements; ++i) {
    const double scale = type == Element::kS8 || type == Element::kS32 ? 1.0 : 1.0 / 16;
    store_element(made.bytes.data(), type, i, (static_cast<int>(random() % 33) - 16) * scale);
  }
  made.matrix = {made.bytes.data(), type, transposed ? leading : 1, transposed ? 1 : leading};
  return made;
}

double value(const Matrix& matrix, std::int64_t i, std::int64_t j) {
  return load_element(matrix.at(i, j), matrix.type, 0);
}

double reference_sum(const Product& p, std::int64_t i, std::int64_t j) {
  double sum = 0;
  for (std::int64_t q = 0; q < p.k; ++q) sum += value(p.a, i, q) * value(p.b, q, j);
  return sum;
}

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double gelu_slope(double x) {
  const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  const double t = std::tanh(u);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

double tolerance(Element type, double magnitude) {
  switch (type) {
    case Element::kBf16:
      return 0.004 * magnitude + 1e-3;
    case Element::kF16:
      return 0.0005 * magnitude + 2e-4;
    case Element::kF32:
      return 2e-6 * magnitude + 1e-4;
    default:
      return 1e-12 * magnitude + 1e-12;
  }
}

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> sets;
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    if (const Kernels* set = kernels_named(name)) sets.push_back(set);
  }
  return sets;
}

struct Case {
  Element input, output;
  Arithmetic arithmetic;
};

TEST(Product, EqualsTheNaiveSumForEveryTypeTranspositionAndInstructionSet) {
  const Case cases[] = {{Element::kF32, Element::kF32, Arithmetic::kF32},
                        {Element::kBf16, Element::kBf16, Arithmetic::kF32},
                        {Element::kBf16, Element::kF32, Arithmetic::kF32},
                        {Element::kF16, Element::kF16, Arithmetic::kF32},
                        {Element::kF32, Element::kF32, Arithmetic::kTf32},
                        {Element::kF64, Element::kF64, Arithmetic::kF64},
                        {Element::kS8, Element::kS32, Arithmetic::kS32},
                        {Element::kS8, Element::kF32, Arithmetic::kF32}};
  const std::int64_t shapes[][3] = {{1, 1, 1},    {3, 5, 7},     {33, 13, 300}, {193, 241, 9},
                                    {64, 240, 1}, {200, 1, 257}, {1, 250, 17}};
  for (const Kernels* set : all_kernels()) {
    for (const Case& c : cases) {
      for (const auto& shape : shapes) {
        for (unsigned flags = 0; flags < 8; ++flags) {
          const std::int64_t m = shape[0], n = shape[1], k = shape[2];
          const Stored a = make(m, k, c.input, (flags & 1U) != 0, 3, 1);
          const Stored b = make(k, n, c.input, (flags & 2U) != 0, 1, 2);
          Stored d = make(m, n, c.output, (flags & 4U) != 0, 2, 3);
          const Stored before = d;
          Product p{.m = m, .n = n, .k = k, .a = a.matrix, .b = b.matrix};
          p.c = p.d = d.matrix;
          p.arithmetic = c.arithmetic;
          p.alpha = 2;
          p.beta = -1;
          p.splits = flags == 3 ? 3 : 1;
          Matrix old = d.matrix;
          const Bytes kept = d.bytes;
          compute(p, set);
          Bytes original = kept;
          old.data = original.data();
          for (std::int64_t j = 0; j < n; ++j) {
            for (std::int64_t i = 0; i < m; ++i) {
              const double expected = 2 * reference_sum(p, i, j) - value(old, i, j);
              ASSERT_NEAR(value(d.matrix, i, j), expected, tolerance(c.output, std::abs(expected)))
                  << set->name << " m " << m << " n " << n << " k " << k << " flags " << flags
                  << " at " << i << ", " << j;
              // Bytes between the columns must survive: make the matrix equal and compare all.
              std::memcpy(old.at(i, j), d.matrix.at(i, j),
                          static_cast<std::size_t>(size_of(c.output)));
            }
          }
          EXPECT_EQ(original, d.bytes);
        }
      }
    }
  }
}

TEST(Product, WithBetaZeroDoesNotReadC) {
  Stored a = make(20, 30, Element::kF32, false, 0, 1);
  Stored b = make(30, 10, Element::kF32, false, 0, 2);
  std::vector<float> d(200, std::numeric_limits<float>::quiet_NaN());
  Product p{.m = 20, .n = 10, .k = 30, .a = a.matrix, .b = b.matrix};
  p.c = p.d = {reinterpret_cast<std::byte*>(d.data()), Element::kF32, 1, 20};
  compute(p);
  for (float x : d) EXPECT_FALSE(std::isnan(x));
}

TEST(Product, WithAlphaZeroReadsNeitherAnorB) {
  std::vector<float> nan(900, std::numeric_limits<float>::quiet_NaN());
  Stored d = make(30, 30, Element::kF32, false, 0, 1);
  const Stored before = make(30, 30, Element::kF32, false, 0, 1);
  Product p{.m = 30, .n = 30, .k = 30};
  p.a = p.b = {reinterpret_cast<std::byte*>(nan.data()), Element::kF32, 1, 30};
  p.c = p.d = d.matrix;
  p.alpha = 0;
  p.beta = 2;
  compute(p);
  EXPECT_EQ(value(d.matrix, 7, 9), 2 * value(before.matrix, 7, 9));
}

TEST(Product, PassesNaNAndInfinityOn) {
  std::vector<float> a(16 * 16, 1.0F), b(16 * 16, 1.0F), d(16 * 16);
  a[3] = std::numeric_limits<float>::quiet_NaN();      // row 3
  b[5 * 16] = std::numeric_limits<float>::infinity();  // column 5
  Product p{.m = 16, .n = 16, .k = 16};
  p.a = {reinterpret_cast<std::byte*>(a.data()), Element::kF32, 1, 16};
  p.b = {reinterpret_cast<std::byte*>(b.data()), Element::kF32, 1, 16};
  p.d = {reinterpret_cast<std::byte*>(d.data()), Element::kF32, 1, 16};
  compute(p);
  for (int j = 0; j < 16; ++j) EXPECT_TRUE(std::isnan(d[static_cast<std::size_t>(3 + 16 * j)]));
  EXPECT_TRUE(std::isinf(d[5 * 16]));
  EXPECT_EQ(d[0], 16.0F);
}

TEST(Product, HasTheSameBitsOnProcessorsWithFma) {
  const Kernels* narrow = kernels_named("avx2");
  const Kernels* wide = kernels_named("avx512");
  if (narrow == nullptr || wide == nullptr) GTEST_SKIP() << "needs a processor with AVX-512";
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> a(210 * 700), b(700 * 250), first(210 * 250), second(210 * 250);
  for (float& x : a) x = normal(random);
  for (float& x : b) x = normal(random);
  Product p{.m = 210, .n = 250, .k = 700};
  p.a = {reinterpret_cast<std::byte*>(a.data()), Element::kF32, 1, 210};
  p.b = {reinterpret_cast<std::byte*>(b.data()), Element::kF32, 1, 700};
  p.d = {reinterpret_cast<std::byte*>(first.data()), Element::kF32, 1, 210};
  p.splits = 2;
  compute(p, narrow);
  p.d.data = reinterpret_cast<std::byte*>(second.data());
  compute(p, wide);
  EXPECT_EQ(first, second);
}

/// Runs one activation with bias, aux and row sums over an odd shape and checks all that is
/// written.
void check_activation(Activation activation, Element type, const Kernels* set) {
  const std::int64_t m = 203, n = 251, k = 40, aux_stride = 208;
  const bool gradient =
      activation == Activation::kReluGradient || activation == Activation::kGeluGradient;
  const bool bits = activation == Activation::kRelu || activation == Activation::kReluGradient;
  Stored a = make(m, k, type, true, 0, 1);
  Stored b = make(k, n, type, false, 0, 2);
  Stored d = make(m, n, type, false, 5, 3);
  Stored bias = make(m, 1, type, false, 0, 4);
  Stored aux = make(aux_stride, n, type, false, 0, 5);
  const Stored aux_before = make(aux_stride, n, type, false, 0, 5);
  Bytes sums(static_cast<std::size_t>(m * size_of(type)));
  Product p{.m = m, .n = n, .k = k, .a = a.matrix, .b = b.matrix};
  p.d = d.matrix;
  p.epilogue = {.activation = activation,
                .bias = gradient ? nullptr : bias.bytes.data(),
                .gradient = gradient ? sums.data() : nullptr,
                .gradient_of = gradient ? Epilogue::Gradient::kOfResult : Epilogue::Gradient::kNone,
                .bias_type = type,
                .aux = aux.bytes.data(),
                .aux_type = type,
                .aux_stride = aux_stride};
  compute(p, set);
  std::vector<double> expected_sums(static_cast<std::size_t>(m));
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t i = 0; i < m; ++i) {
      double x = reference_sum(p, i, j);
      if (!gradient) x += value(bias.matrix, i, 0);
      const std::int64_t at = j * aux_stride + i;
      const auto bit_of = [at](const Bytes& bytes) {
        return (static_cast<unsigned>(bytes[static_cast<std::size_t>(at / 8)]) >> at % 8 & 1U) != 0;
      };
      double expected = x;
      switch (activation) {
        case Activation::kRelu:
          expected = std::max(x, 0.0);
          ASSERT_EQ(bit_of(aux.bytes), x > 0);
          break;
        case Activation::kGelu:
          expected = gelu(x);
          ASSERT_NEAR(load_element(aux.bytes.data(), type, at), x, tolerance(type, std::abs(x)));
          break;
        case Activation::kReluGradient:
          expected = bit_of(aux_before.bytes) ? x : 0;
          break;
        case Activation::kGeluGradient:
          expected = x * gelu_slope(load_element(aux_before.bytes.data(), type, at));
          break;
        default:
          break;
      }
      ASSERT_NEAR(value(d.matrix, i, j), expected, tolerance(type, std::abs(expected) + 1));
      expected_sums[static_cast<std::size_t>(i)] += expected;
    }
  }
  for (std::int64_t i = 0; gradient && i < m; ++i) {
    const double expected = expected_sums[static_cast<std::size_t>(i)];
    EXPECT_NEAR(load_element(sums.data(), type, i), expected,
                tolerance(type, std::abs(expected) + 10));
  }
  if (gradient || !bits) return;
  // Rows beyond m, which lie in the last byte of each column, keep their bits.
  const auto last = static_cast<std::size_t>(m / 8);
  EXPECT_EQ(static_cast<unsigned>(aux.bytes[last]) >> m % 8,
            static_cast<unsigned>(aux_before.bytes[last]) >> m % 8);
}

TEST(Product, AppliesActivationsAndTheirGradients) {
  for (const Kernels* set : all_kernels()) {
    for (Element type : {Element::kF32, Element::kBf16, Element::kF16}) {
      for (Activation activation : {Activation::kNone, Activation::kRelu, Activation::kGelu,
                                    Activation::kReluGradient, Activation::kGeluGradient}) {
        check_activation(activation, type, set);
      }
    }
  }
}

TEST(Product, SumsTheRowsOfAAndTheColumnsOfB) {
  for (bool transposed : {false, true}) {
    Stored a = make(31, 70, Element::kBf16, transposed, 1, 1);
    Stored b = make(70, 43, Element::kBf16, transposed, 1, 2);
    std::vector<float> d(31 * 43), sums(43);
    Product p{.m = 31, .n = 43, .k = 70, .a = a.matrix, .b = b.matrix};
    p.d = {reinterpret_cast<std::byte*>(d.data()), Element::kF32, 1, 31};
    p.epilogue.gradient = reinterpret_cast<std::byte*>(sums.data());
    for (auto of : {Epilogue::Gradient::kOfA, Epilogue::Gradient::kOfB}) {
      p.epilogue.gradient_of = of;
      compute(p);
      const bool of_a = of == Epilogue::Gradient::kOfA;
      for (std::int64_t i = 0; i < (of_a ? 31 : 43); ++i) {
        double expected = 0;
        for (std::int64_t q = 0; q < 70; ++q) {
          expected += of_a ? value(p.a, i, q) : value(p.b, q, i);
        }
        EXPECT_NEAR(sums[static_cast<std::size_t>(i)], expected, 1e-5);
      }
    }
  }
}

TEST(Elements, ConvertEveryHalfToFloatAndBack) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    std::byte memory[2];
    std::memcpy(memory, &half, 2);
    const double x = load_element(memory, Element::kF16, 0);
    const unsigned exponent = bits >> 10 & 31U, mantissa = bits & 1023U;
    if (exponent == 31 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(x));
      continue;
    }
    double expected = exponent == 0 ? std::ldexp(mantissa, -24)
                      : exponent == 31
                          ? std::numeric_limits<double>::infinity()
                          : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25);
    if ((bits & 0x8000U) != 0) expected = -expected;
    ASSERT_EQ(x, expected) << bits;
    store_element(memory, Element::kF16, 0, x);
    std::uint16_t back = 0;
    std::memcpy(&back, memory, 2);
    ASSERT_EQ(back, half);
  }
}

TEST(Elements, RoundHalvesToEven) {
  std::byte memory[4];
  const auto through = [&memory](Element type, double x) {
    store_element(memory, type, 0, x);
    return load_element(memory, type, 0);
  };
  EXPECT_EQ(through(Element::kBf16, 1 + 1.0 / 256), 1.0);
  EXPECT_EQ(through(Element::kBf16, 1 + 3.0 / 256), 1 + 4.0 / 256);
  EXPECT_EQ(through(Element::kF16, 1 + 1.0 / 2048), 1.0);
  EXPECT_EQ(through(Element::kF16, 1 + 3.0 / 2048), 1 + 4.0 / 2048);
  EXPECT_EQ(through(Element::kF16, 65519), 65504);
  EXPECT_TRUE(std::isinf(through(Element::kF16, 65520)));
  EXPECT_EQ(through(Element::kF16, 1e-8), 0);
  EXPECT_EQ(through(Element::kF16, std::ldexp(1, -24)), std::ldexp(1, -24));
  EXPECT_TRUE(std::isnan(through(Element::kBf16, std::nan(""))));
  EXPECT_EQ(through(Element::kS8, 200), 127);
  EXPECT_EQ(through(Element::kS8, -200), -128);
}

}  // namespace
}  // namespace gpusim::blas
