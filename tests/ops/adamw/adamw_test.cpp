// adamw against torch.optim.AdamW, written in double.
#include "tests/ops/optimizer_check.hpp"

namespace ingot::test {
namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kEpsilon = 1e-8;

void formula(double& weight, double gradient, std::vector<double>& moments,
             const OptimizerStep& step) {
  weight *= 1 - step.rate * step.decay;
  moments[0] = kBeta1 * moments[0] + (1 - kBeta1) * gradient;
  moments[1] = kBeta2 * moments[1] + (1 - kBeta2) * gradient * gradient;
  const double first = moments[0] / (1 - std::pow(kBeta1, step.t));
  const double second = moments[1] / (1 - std::pow(kBeta2, step.t));
  weight -= step.rate * first / (std::sqrt(second) + kEpsilon);
}

OptimizerCheck check(const Registry& registry) {
  return {
      registry, "adamw", {{"beta1", kBeta1}, {"beta2", kBeta2}, {"epsilon", kEpsilon}}, 2, formula};
}

TEST(Adamw, FollowsTheFormulaOverSeveralSteps) {
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

TEST(Adamw, LeavesPaddingZero) {
  Registry registry;
  register_ops(registry);
  check_padding_stays_zero(check(registry));
}

}  // namespace
}  // namespace ingot::test
