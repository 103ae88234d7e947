// What the tests of adamw, sgd and lion share: a store of three chunks with factors of their own,
// and several steps of a formula in double beside those of the op.
#pragma once

#include <functional>

#include "ops/step_scalars.hpp"
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {

struct OptimizerStep {
  double rate = 0;   ///< learning rate times the chunk's factor
  double decay = 0;  ///< the chunk's weight decay
  double t = 1;      ///< Adam's step
};
/// Updates one weight and its moments with a gradient that is scaled already.
using OptimizerFormula = std::function<void(double& weight, double gradient,
                                            std::vector<double>& moments, const OptimizerStep&)>;

struct OptimizerCheck {
  const Registry& registry;
  std::string op;
  Attributes attributes;  ///< `chunk` is added
  std::size_t moments;
  OptimizerFormula formula;
  std::int64_t chunk = 33;
};

inline std::vector<HostTensor> optimizer_inputs(const OptimizerCheck& check, bool has_compute,
                                                std::mt19937& generator) {
  const TensorType flat{DType::kF32, Shape{3 * check.chunk}};
  std::vector<HostTensor> inputs = {HostTensor::random(flat, generator),
                                    HostTensor::random(flat, generator)};
  for (std::size_t i = 0; i < check.moments; ++i) {
    inputs.emplace_back(flat, std::vector<double>(static_cast<std::size_t>(flat.count()), 0));
  }
  inputs.emplace_back(TensorType{DType::kF32, Shape{3, 2}},
                      std::vector<double>{1, 0.1, 0.5, 0, 2, 0.03125});
  inputs.push_back(HostTensor::of_struct(StepScalars{}));
  inputs.push_back(has_compute ? HostTensor(TensorType{DType::kBf16, flat.shape}) : HostTensor());
  return inputs;
}

/// Five steps against the formula; the compute copy, threads, and a skipped step.
inline void check_optimizer(OptimizerCheck check) {
  check.attributes.set("chunk", check.chunk);
  std::mt19937 generator(12);
  const std::size_t factors = 2 + check.moments;
  for (const bool has_compute : {false, true}) {
    std::vector<HostTensor> inputs = optimizer_inputs(check, has_compute, generator);
    Values expected = values_of(inputs);
    const std::vector<double> chunk_factors = inputs[factors].values();
    for (int t = 1; t <= 5; ++t) {
      StepScalars step;
      step.step = t;
      step.adam_step = t;
      step.learning_rate = 0.01 * t;
      step.gradient_scale = 0.25;
      inputs[factors + 1] = HostTensor::of_struct(step);
      inputs[1] = HostTensor::random(inputs[1].type(), generator);
      const std::vector<double> gradient = inputs[1].values();
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        const std::size_t chunk = i / static_cast<std::size_t>(check.chunk);
        std::vector<double> moments;
        for (std::size_t k = 0; k < check.moments; ++k) moments.push_back(expected[2 + k][i]);
        check.formula(expected[0][i], gradient[i] * step.gradient_scale, moments,
                      {.rate = step.learning_rate * chunk_factors[2 * chunk],
                       .decay = chunk_factors[2 * chunk + 1],
                       .t = static_cast<double>(t)});
        for (std::size_t k = 0; k < check.moments; ++k) expected[2 + k][i] = moments[k];
      }
      std::vector<HostTensor> three_threads = inputs;
      run_op(check.registry, check.op, three_threads, check.attributes, {.threads = 3});
      run_op(check.registry, check.op, inputs, check.attributes, {.threads = 1});
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        EXPECT_TRUE(inputs[i].same_bits(three_threads[i])) << "input " << i << " by three threads";
      }
      for (std::size_t i = 0; i < factors; ++i) {
        if (i != 1)
          expect_close(inputs[i], expected[i], 2e-6, check.op + " input " + std::to_string(i));
      }
      for (std::int64_t i = 0; has_compute && i < inputs[0].type().count(); ++i) {
        EXPECT_EQ(inputs[factors + 2].as<Bf16>()[i].bits, Bf16(inputs[0].as<float>()[i]).bits);
      }
    }

    StepScalars skipped;
    skipped.adam_step = 6;
    skipped.learning_rate = 1;
    skipped.gradient_scale = 0;
    skipped.skip = 1;
    inputs[factors + 1] = HostTensor::of_struct(skipped);
    std::vector<double> bad = inputs[1].values();
    bad[0] = NAN;
    bad[1] = INFINITY;
    inputs[1].set_values(bad);
    const std::vector<HostTensor> before = inputs;
    run_op(check.registry, check.op, inputs, check.attributes);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_TRUE(inputs[i].same_bits(before[i])) << "a skipped step changes input " << i;
    }
  }
}

/// Chunks of zeros, which pad buckets, stay zero.
inline void check_padding_stays_zero(OptimizerCheck check) {
  check.attributes.set("chunk", check.chunk);
  std::mt19937 generator(13);
  std::vector<HostTensor> inputs = optimizer_inputs(check, true, generator);
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    std::vector<double> values = inputs[i].values();
    std::fill(values.end() - check.chunk, values.end(), 0.0);
    inputs[i].set_values(values);
  }
  StepScalars step;
  step.adam_step = 1;
  step.learning_rate = 0.1;
  inputs[3 + check.moments] = HostTensor::of_struct(step);
  run_op(check.registry, check.op, inputs, check.attributes);
  const std::vector<double> weights = inputs[0].values();
  for (auto weight = weights.end() - check.chunk; weight != weights.end(); ++weight) {
    EXPECT_EQ(*weight, 0);
  }
}

}  // namespace ingot::test
