// sgd against torch.optim.SGD with momentum and weight decay, written in double.
#include "tests/ops/optimizer_check.hpp"

namespace ingot::test {
namespace {

constexpr double kMomentum = 0.9;

void formula(double& weight, double gradient, std::vector<double>& moments,
             const OptimizerStep& step) {
  gradient += step.decay * weight;
  // The first step's buffer is the gradient.
  moments[0] = step.t == 1 ? gradient : kMomentum * moments[0] + gradient;
  weight -= step.rate * moments[0];
}

OptimizerCheck check(const Registry& registry) {
  return {registry, "sgd", {{"momentum", kMomentum}}, 1, formula};
}

TEST(Sgd, FollowsTheFormulaOverSeveralSteps) {
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

TEST(Sgd, LeavesPaddingZero) {
  Registry registry;
  register_ops(registry);
  check_padding_stays_zero(check(registry));
}

}  // namespace
}  // namespace ingot::test
