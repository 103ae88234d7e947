// layernorm and rmsnorm in double precision, as the tests of both compare with.
#pragma once

#include "tests/ops/op_check.hpp"

namespace ingot::test {

struct NormReference {
  bool centred = true;  ///< layernorm; otherwise rmsnorm
  bool adds = false;    ///< inputs a and b instead of x; outputs begin with their sum
  std::int64_t columns = 1;
  double epsilon = 1e-5;
  /// Rounds the sum to bf16 before it is normalised, as the op does; no function to differentiate.
  bool rounds_sum = false;

  Values operator()(Values& in) const {
    const auto width = static_cast<std::size_t>(columns);
    const std::size_t parameters = adds ? 2 : 1;
    std::vector<double> x = in[0];
    for (std::size_t i = 0; adds && i < x.size(); ++i) x[i] += in[1][i];
    for (double& value : x) {
      if (rounds_sum) value = static_cast<float>(Bf16(static_cast<float>(value)));
    }
    const std::vector<double>& gamma = in[parameters];
    const bool has_beta = in.size() > parameters + 1 && !in[parameters + 1].empty();
    std::vector<double> y(x.size());
    std::vector<double> means;
    std::vector<double> rstds;
    for (std::size_t row = 0; row < x.size() / width; ++row) {
      const double* from = x.data() + row * width;
      double mean = 0;
      for (std::size_t c = 0; centred && c < width; ++c)
        mean += from[c] / static_cast<double>(width);
      double variance = 0;
      for (std::size_t c = 0; c < width; ++c) {
        variance += (from[c] - mean) * (from[c] - mean) / static_cast<double>(width);
      }
      const double rstd = 1 / std::sqrt(variance + epsilon);
      for (std::size_t c = 0; c < width; ++c) {
        y[row * width + c] =
            (from[c] - mean) * rstd * gamma[c] + (has_beta ? in[parameters + 1][c] : 0);
      }
      means.push_back(mean);
      rstds.push_back(rstd);
    }
    Values out;
    if (adds) out.push_back(x);
    out.push_back(y);
    if (centred) out.push_back(means);
    out.push_back(rstds);
    return out;
  }
};

}  // namespace ingot::test
