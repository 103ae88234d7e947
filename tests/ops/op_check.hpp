// Checks an op's kernel (on the device that run_op.hpp speaks of) against a reference in double
// precision. One OpCheck describes one use of an op (inputs, attributes, reference);
// check_forward() and check_backward() then cover what every op promises: values, every output
// written and nothing beyond it, accumulation, in-place memory, the same bits on any number of
// threads, and a gradient that agrees with finite differences of the reference.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ops/op.hpp"
#include "ops/step_scalars.hpp"
#include "tests/ops/eager_backward.hpp"
#include "tests/ops/host_tensor.hpp"
#include "tests/ops/run_op.hpp"

namespace ingot::test {

/// Inputs or outputs as doubles, one vector per tensor, empty where absent.
using Values = std::vector<std::vector<double>>;
/// Computes all outputs from the inputs; changes those inputs that the op mutates.
using Reference = std::function<Values(Values& inputs)>;

struct OpCheck {
  const Registry& registry;
  std::string op;
  std::vector<HostTensor> inputs;
  Attributes attributes;
  Reference reference;
  /// Allowed error relative to |expected| + the root mean square of the expected tensor. 0: 2e-5
  /// where every real tensor is f32 or f64, 1.5e-2 where one is bf16.
  double tolerance = 0;
};

inline double tolerance_of(const OpCheck& check) {
  if (check.tolerance > 0) return check.tolerance;
  const auto is_bf16 = [](const HostTensor& t) { return t.type().dtype == DType::kBf16; };
  return std::any_of(check.inputs.begin(), check.inputs.end(), is_bf16) ? 1.5e-2 : 2e-5;
}

inline double root_mean_square(const std::vector<double>& values) {
  double sum = 0;
  std::size_t counted = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value * value;
    ++counted;
  }
  return counted == 0 ? 0 : std::sqrt(sum / static_cast<double>(counted));
}

/// Compares element by element; reports the worst one.
inline void expect_close(const HostTensor& actual, const std::vector<double>& expected,
                         double tolerance, const std::string& what) {
  const std::vector<double> values = actual.values();
  ASSERT_EQ(values.size(), expected.size()) << what << " " << actual.type().text();
  const double scale = root_mean_square(expected);
  double worst = 0;
  std::size_t worst_at = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool same =
        values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i]));
    const double error =
        same ? 0 : std::abs(values[i] - expected[i]) / (std::abs(expected[i]) + scale + 1e-30);
    if (std::isnan(error) || error > worst) {
      worst = std::isnan(error) ? HUGE_VAL : error;
      worst_at = i;
    }
  }
  EXPECT_LE(worst, tolerance) << what << " " << actual.type().text() << ": element " << worst_at
                              << " is " << (values.empty() ? 0 : values[worst_at]) << ", expected "
                              << (values.empty() ? 0 : expected[worst_at]);
}

inline Values values_of(const std::vector<HostTensor>& tensors) {
  Values values;
  for (const HostTensor& tensor : tensors) values.push_back(tensor.values());
  return values;
}

/// Checks values, threads (1 and 3 give the same bits), in-place memory and accumulation. Returns
/// the outputs.
inline std::vector<HostTensor> check_forward(const OpCheck& check) {
  const Op& op = check.registry.find(check.op);
  const double tolerance = tolerance_of(check);
  std::vector<HostTensor> inputs = check.inputs;
  const std::vector<HostTensor> outputs =
      run_op(check.registry, check.op, inputs, check.attributes, {.threads = 1});

  Values reference_inputs = values_of(check.inputs);
  const Values expected = check.reference(reference_inputs);
  EXPECT_EQ(expected.size(), outputs.size()) << check.op;
  for (std::size_t o = 0; o < std::min(outputs.size(), expected.size()); ++o) {
    expect_close(outputs[o], expected[o], tolerance, check.op + " output " + std::to_string(o));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (((op.mutated_inputs() >> i) & 1U) != 0 && !inputs[i].absent()) {
      expect_close(inputs[i], reference_inputs[i], tolerance,
                   check.op + " mutated input " + std::to_string(i));
    }
  }

  std::vector<HostTensor> inputs_of_three = check.inputs;
  const std::vector<HostTensor> three =
      run_op(check.registry, check.op, inputs_of_three, check.attributes, {.threads = 3});
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    EXPECT_TRUE(three[o].same_bits(outputs[o]))
        << check.op << " output " << o << ": one thread and three give different bits";
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(inputs_of_three[i].same_bits(inputs[i]))
        << check.op << " input " << i << ": one thread and three give different bits";
  }

  bool any_in_place = false;
  std::uint32_t accumulate = 0;
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    any_in_place = any_in_place || op.in_place(static_cast<int>(o)) >= 0;
    if (op.can_accumulate(static_cast<int>(o))) accumulate |= 1U << o;
  }
  if (any_in_place) {
    std::vector<HostTensor> overwritten = check.inputs;
    const std::vector<HostTensor> in_place =
        run_op(check.registry, check.op, overwritten, check.attributes, {.in_place = true});
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      EXPECT_TRUE(in_place[o].same_bits(outputs[o]))
          << check.op << " output " << o << ": in place gives different bits";
    }
  }
  if (accumulate != 0) {
    std::mt19937 generator(7);
    RunOptions options{.threads = 1, .accumulate = accumulate};
    Values sums = expected;
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      options.initial.push_back(((accumulate >> o) & 1U) != 0
                                    ? HostTensor::random(outputs[o].type(), generator)
                                    : HostTensor(outputs[o].type()));
      if (((accumulate >> o) & 1U) == 0) continue;
      const std::vector<double> initial = options.initial[o].values();
      for (std::size_t i = 0; i < initial.size(); ++i) sums[o][i] += initial[i];
    }
    inputs = check.inputs;
    const auto added = run_op(check.registry, check.op, inputs, check.attributes, options);
    options.threads = 3;
    inputs = check.inputs;
    const auto added_three = run_op(check.registry, check.op, inputs, check.attributes, options);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      expect_close(added[o], sums[o], tolerance,
                   check.op + " accumulated output " + std::to_string(o));
      EXPECT_TRUE(added_three[o].same_bits(added[o]))
          << check.op << " accumulated output " << o << ": threads change the bits";
    }
  }
  return outputs;
}

struct BackwardOptions {
  /// Inputs whose gradients are checked.
  std::vector<int> wanted;
  /// Outputs that the loss depends on: loss = sum over them of random coefficients times elements.
  std::vector<int> outputs = {0};
  /// Elements of each input compared with finite differences of the reference; spread evenly.
  int samples = 40;
  double step = 1e-4;    ///< of the central difference
  double tolerance = 0;  ///< as in OpCheck; 0: five times the forward one
};

/// Compares the gradients of the emitted backward ops with central differences of the reference,
/// and checks that running backward onto earlier gradients adds to them.
inline void check_backward(const OpCheck& check, const BackwardOptions& options) {
  const double tolerance = options.tolerance > 0 ? options.tolerance : 5 * tolerance_of(check);
  std::mt19937 generator(11);
  std::vector<HostTensor> inputs = check.inputs;
  const auto outputs = run_op(check.registry, check.op, inputs, check.attributes);
  std::vector<HostTensor> output_gradients(outputs.size());
  for (const int o : options.outputs) {
    const auto index = static_cast<std::size_t>(o);
    output_gradients[index] = HostTensor::random(outputs[index].type(), generator);
  }
  const auto loss = [&](Values values) {
    const Values results = check.reference(values);
    double sum = 0;
    for (const int o : options.outputs) {
      const auto index = static_cast<std::size_t>(o);
      const std::vector<double> coefficients = output_gradients[index].values();
      for (std::size_t i = 0; i < coefficients.size(); ++i) {
        sum += coefficients[i] * results[index][i];
      }
    }
    return sum;
  };

  EagerBackward backward(check.registry, check.op, check.attributes, check.inputs, outputs,
                         output_gradients, options.wanted);
  const auto& gradients = backward.run();
  std::map<int, HostTensor> earlier;
  for (const int i : options.wanted) {
    ASSERT_TRUE(gradients.contains(i)) << check.op << ": no gradient of input " << i;
    const HostTensor& gradient = gradients.at(i);
    ASSERT_EQ(gradient.type().shape, check.inputs[static_cast<std::size_t>(i)].type().shape);
    earlier[i] = HostTensor::random(gradient.type(), generator);

    const std::vector<double> computed = gradient.values();
    const double scale = root_mean_square(computed);
    const std::size_t stride =
        std::max<std::size_t>(1, computed.size() / static_cast<std::size_t>(options.samples));
    for (std::size_t e = 0; e < computed.size(); e += stride) {
      Values shifted = values_of(check.inputs);
      double& element = shifted[static_cast<std::size_t>(i)][e];
      const double centre = element;
      element = centre + options.step;
      const double above = loss(shifted);
      element = centre - options.step;
      const double below = loss(shifted);
      const double expected = (above - below) / (2 * options.step);
      EXPECT_LE(std::abs(computed[e] - expected), tolerance * (std::abs(expected) + scale) + 1e-7)
          << check.op << ": gradient of input " << i << " " << gradient.type().text() << " element "
          << e << " is " << computed[e] << ", finite differences give " << expected;
    }
  }

  EagerBackward again(check.registry, check.op, check.attributes, check.inputs, outputs,
                      output_gradients, options.wanted, earlier);
  for (const auto& [i, sum] : again.run()) {
    if (!earlier.contains(i)) continue;
    std::vector<double> expected = earlier.at(i).values();
    const std::vector<double> gradient = gradients.at(i).values();
    for (std::size_t e = 0; e < expected.size(); ++e) expected[e] += gradient[e];
    expect_close(sum, expected, tolerance,
                 check.op + " gradient added to earlier one, input " + std::to_string(i));
  }
}

}  // namespace ingot::test
