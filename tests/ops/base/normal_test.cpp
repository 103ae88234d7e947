// The normal quantile against the distribution function, which the C library has.
#include "ops/base/normal.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ingot {
namespace {

double distribution(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

TEST(NormalQuantile, InvertsTheDistributionFunctionInTheMiddleAndInTheTails) {
  for (double z = -8; z <= 5; z += 0.0625) {
    const double found = normal_quantile(distribution(z));
    EXPECT_NEAR(found, z, 3e-7 * std::max(1.0, std::abs(z))) << "at z = " << z;
  }
}

TEST(NormalQuantile, IsOddAroundOneHalf) {
  EXPECT_EQ(normal_quantile(0.5), 0.0);
  for (const double p : {0.25, 0.05, 0.001, 1e-6}) {
    EXPECT_NEAR(normal_quantile(1 - p), -normal_quantile(p), 1e-6) << "at p = " << p;
  }
}

TEST(NormalQuantile, IsFiniteForTheSmallestDrawOf32Bits) {
  const double z = normal_quantile(0x1p-33);
  EXPECT_TRUE(std::isfinite(z));
  EXPECT_NEAR(z, -6.3, 0.1);
}

}  // namespace
}  // namespace ingot
