// ema against its formula in double.
#include "ops/step_scalars.hpp"
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

TEST(Ema, AveragesTheWeightsUnlessTheStepIsSkipped) {
  Registry registry;
  register_ops(registry);
  std::mt19937 generator(14);
  for_each_instruction_set([&] {
    for (const std::int64_t count : {1, 3, 17, 65, 40000}) {
      const TensorType flat{DType::kF32, Shape{count}};
      StepScalars step;
      step.ema_decay = 0.999;
      std::vector<HostTensor> inputs = {HostTensor::random(flat, generator),
                                        HostTensor::random(flat, generator),
                                        HostTensor::of_struct(step)};
      const OpCheck check{registry,
                          "ema",
                          inputs,
                          {},
                          [](Values& in) {
                            for (std::size_t i = 0; i < in[0].size(); ++i) {
                              in[0][i] = 0.999 * in[0][i] + (1 - 0.999) * in[1][i];
                            }
                            return Values{};
                          },
                          1e-7};
      check_forward(check);
      step.skip = 1;
      inputs[2] = HostTensor::of_struct(step);
      const HostTensor before = inputs[0];
      run_op(registry, "ema", inputs, {});
      EXPECT_TRUE(inputs[0].same_bits(before));
    }
  });
}

}  // namespace
}  // namespace ingot::test
