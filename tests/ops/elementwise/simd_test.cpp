// The vector functions that kernels share, on every instruction set of this machine.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/ops/elementwise/simd_test.cpp"
#include <gtest/gtest.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <random>
#include <vector>

#include "ops/base/philox.hpp"
#include "ops/philox-inl.hpp"
#include "ops/simd-inl.hpp"
#include "tests/ops/targets.hpp"

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

void exp_of(const float* x, float* y, std::int64_t count) {
  const FloatTag d;
  for_each_vector(d, count, [&](std::int64_t i, auto extent) HWY_ATTR {
    store(d, exp(d, load(d, x + i, extent)), y + i, extent);
  });
}

void sigmoid_of(const float* x, float* y, std::int64_t count) {
  const FloatTag d;
  for_each_vector(d, count, [&](std::int64_t i, auto extent) HWY_ATTR {
    store(d, sigmoid(d, load(d, x + i, extent)), y + i, extent);
  });
}

/// Returns the number of blocks drawn.
std::int64_t draw(std::uint64_t seed, std::uint64_t high, std::uint64_t first, std::uint32_t* to) {
  const hn::ScalableTag<std::uint32_t> words;
  philox_blocks(words, seed, RandomPurpose::kDropout, high, first, to);
  return static_cast<std::int64_t>(hn::Lanes(words));
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {

HWY_EXPORT(exp_of);
HWY_EXPORT(sigmoid_of);
HWY_EXPORT(draw);

namespace {

TEST(Simd, ExpIsWithinOneUnitInTheLastPlace) {
  test::for_each_instruction_set([] {
    std::vector<float> x;
    for (float value = -87.33F; value < 88.72F; value += 0.00731F) x.push_back(value);
    for (float value = -1e-3F; value < 1e-3F; value += 1e-6F) x.push_back(value);
    std::vector<float> y(x.size());
    HWY_DYNAMIC_DISPATCH(exp_of)(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = std::exp(static_cast<double>(x[i]));
      const auto rounded = static_cast<float>(exact);
      const double unit =
          static_cast<double>(std::nextafter(rounded, INFINITY)) - static_cast<double>(rounded);
      worst = std::max(worst, std::abs(static_cast<double>(y[i]) - exact) / unit);
    }
    EXPECT_LE(worst, 1.0);
  });
}

TEST(Simd, ExpAndSigmoidHaveTheRightEnds) {
  test::for_each_instruction_set([] {
    const std::vector<float> x = {-INFINITY, -1e30F, -90.0F, 0.0F, 88.73F, 1e30F, INFINITY, NAN};
    std::vector<float> y(x.size());
    const auto count = static_cast<std::int64_t>(x.size());
    HWY_DYNAMIC_DISPATCH(exp_of)(x.data(), y.data(), count);
    EXPECT_EQ(y[0], 0.0F);
    EXPECT_EQ(y[1], 0.0F);
    EXPECT_EQ(y[2], 0.0F);
    EXPECT_EQ(y[3], 1.0F);
    EXPECT_EQ(y[4], INFINITY);
    EXPECT_EQ(y[5], INFINITY);
    EXPECT_EQ(y[6], INFINITY);
    EXPECT_TRUE(std::isnan(y[7]));
    HWY_DYNAMIC_DISPATCH(sigmoid_of)(x.data(), y.data(), count);
    EXPECT_EQ(y[0], 0.0F);
    EXPECT_EQ(y[3], 0.5F);
    EXPECT_EQ(y[6], 1.0F);
    EXPECT_TRUE(std::isnan(y[7]));
  });
}

TEST(Simd, PhiloxDrawsTheScalarGeneratorsWords) {
  constexpr std::uint64_t kSeed = 20240607;
  std::mt19937_64 generator(kSeed);
  test::for_each_instruction_set([&] {
    // Two of the starts make the low word of the counter wrap inside a vector.
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{0xfffffffd}, (std::uint64_t{7} << 40) + 5,
          (std::uint64_t{3} << 32) - 2, static_cast<std::uint64_t>(generator())}) {
      const std::uint64_t seed = generator();
      const std::uint64_t high = generator();
      std::vector<std::uint32_t> words(4 * 64);
      const std::int64_t blocks = HWY_DYNAMIC_DISPATCH(draw)(seed, high, first, words.data());
      for (std::int64_t block = 0; block < blocks; ++block) {
        const auto expected =
            philox(seed, RandomPurpose::kDropout, high, first + static_cast<std::uint64_t>(block));
        for (std::size_t w = 0; w < 4; ++w) {
          EXPECT_EQ(words[4 * static_cast<std::size_t>(block) + w], expected[w])
              << "generator seed " << kSeed << ", block " << block << ", word " << w;
        }
      }
    }
  });
}

}  // namespace
}  // namespace ingot
#endif  // HWY_ONCE
