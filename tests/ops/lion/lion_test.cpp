// lion against the update of Lion's paper, written in double.
#include "tests/ops/optimizer_check.hpp"

namespace ingot::test {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.99;

void formula(double& weight, double gradient, std::vector<double>& moments,
             const OptimizerStep& step) {
  const double direction = kBeta1 * moments[0] + (1 - kBeta1) * gradient;
  weight *= 1 - step.rate * step.decay;
  weight -= step.rate * (direction > 0 ? 1 : direction < 0 ? -1 : 0);
  moments[0] = kBeta2 * moments[0] + (1 - kBeta2) * gradient;
}

OptimizerCheck check(const Registry& registry) {
  return {registry, "lion", {{"beta1", kBeta1}, {"beta2", kBeta2}}, 1, formula};
}

TEST(Lion, FollowsTheFormulaOverSeveralSteps) {
  Registry registry;
  register_ops(registry);
  for_each_instruction_set([&] {
    for (const std::int64_t chunk : {1, 33, 257}) {
      OptimizerCheck use = check(registry);
      use.chunk = chunk;
      check_optimizer(use);
    }
  });
}

TEST(Lion, LeavesPaddingZero) {
  Registry registry;
  register_ops(registry);
  check_padding_stays_zero(check(registry));
}

}  // namespace
}  // namespace ingot::test
