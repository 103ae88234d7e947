#include "ops/base/normal.hpp"

#include <cmath>

namespace ingot {

double normal_quantile(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    const double numerator =
        ((59.109374720 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    const double denominator = ((67.187563600 * r + 78.757757664) * r + 17.895169469) * r + 1.0;
    return q * numerator / denominator;
  }
  // Tails, by the square root of the logarithm of what lies beyond p.
  double r = std::sqrt(-std::log(q < 0 ? p : 1.0 - p));
  double z = 0;
  if (r <= 5.0) {
    r -= 1.6;
    z = (((0.17023821103 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777) /
        ((0.12021132975 * r + 0.73700164250) * r + 1.0);
  } else {
    r -= 5.0;
    z = (((0.017337203997 * r + 0.42868294337) * r + 3.0812263860) * r + 6.6579051150) /
        ((0.012258202635 * r + 0.24197894225) * r + 1.0);
  }
  return q < 0 ? -z : z;
}

}  // namespace ingot
