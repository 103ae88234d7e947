// A BackwardBuilder that executes what an op emits at once, on host tensors.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/ops/run_op.hpp"

namespace ingot::test {

/// Executes what Op::backward emits at once, with two threads.
class EagerBackward : public BackwardBuilder {
 public:
  /// `output_gradients` has one tensor per output, absent where nothing depends on it.
  /// `gradients` may hold earlier contributions, to which the new ones are added.
  EagerBackward(const Registry& registry, const std::string& op, const Attributes& attributes,
                const std::vector<HostTensor>& inputs, const std::vector<HostTensor>& outputs,
                const std::vector<HostTensor>& output_gradients, std::vector<int> wanted,
                std::map<int, HostTensor> gradients = {})
      : registry_(registry),
        op_(registry.find(op)),
        attributes_(attributes),
        wanted_(std::move(wanted)),
        gradients_(std::move(gradients)) {
    for (const HostTensor& input : inputs) input_ids_.push_back(add(input));
    for (const HostTensor& output : outputs) output_ids_.push_back(add(output));
    for (const HostTensor& gradient : output_gradients) gradient_ids_.push_back(add(gradient));
    for (const HostTensor& input : inputs) input_types_.push_back(input.type());
    for (const HostTensor& output : outputs) output_types_.push_back(output.type());
  }

  /// Gradients by input after op.backward(*this).
  const std::map<int, HostTensor>& run() {
    op_.backward(*this);
    return gradients_;
  }

  ValueId input(int index) override {
    EXPECT_TRUE((op_.backward_reads(attributes_).inputs >> index) & 1U)
        << op_.name() << ": backward reads input " << index << " without naming it";
    return input_ids_.at(static_cast<std::size_t>(index));
  }
  ValueId output(int index) override {
    EXPECT_TRUE((op_.backward_reads(attributes_).outputs >> index) & 1U)
        << op_.name() << ": backward reads output " << index << " without naming it";
    return output_ids_.at(static_cast<std::size_t>(index));
  }
  ValueId output_gradient(int index) override {
    return gradient_ids_.at(static_cast<std::size_t>(index));
  }
  bool wanted(int index) const override {
    return std::find(wanted_.begin(), wanted_.end(), index) != wanted_.end();
  }
  const TensorType& input_type(int index) const override {
    return input_types_.at(static_cast<std::size_t>(index));
  }
  const TensorType& output_type(int index) const override {
    return output_types_.at(static_cast<std::size_t>(index));
  }
  const Attributes& attributes() const override { return attributes_; }

  std::vector<ValueId> emit(std::string_view name, std::vector<ValueId> input_ids,
                            Attributes attributes, std::vector<int> gradient_of) override {
    const Op& op = registry_.find(name);
    std::vector<HostTensor> inputs;
    for (const ValueId id : input_ids) {
      inputs.push_back(id == kNoValue ? HostTensor() : values_.at(static_cast<std::size_t>(id)));
    }
    const auto types = op.infer(types_of(inputs), attributes);
    ensure(types.size() == gradient_of.size(), "gradient_of names every output");
    RunOptions options;
    for (std::size_t o = 0; o < types.size(); ++o) {
      options.initial.emplace_back(types[o]);
      const auto earlier = gradients_.find(gradient_of[o]);
      if (earlier != gradients_.end() && op.can_accumulate(static_cast<int>(o))) {
        options.initial[o] = earlier->second;
        options.accumulate |= 1U << o;
      }
    }
    const auto outputs = run_op(registry_, std::string(name), inputs, attributes, options);
    std::vector<ValueId> ids;
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      ids.push_back(add(outputs[o]));
      if (gradient_of[o] < 0) continue;
      if (((options.accumulate >> o) & 1U) != 0) {
        gradients_[gradient_of[o]] = outputs[o];
      } else {
        contribute(gradient_of[o], outputs[o]);
      }
    }
    return ids;
  }
  void pass_gradient(int index, ValueId gradient) override {
    contribute(index, values_.at(static_cast<std::size_t>(gradient)));
  }

 private:
  ValueId add(const HostTensor& tensor) {
    if (tensor.absent()) return kNoValue;
    values_.push_back(tensor);
    return static_cast<ValueId>(values_.size()) - 1;
  }
  void contribute(int index, const HostTensor& gradient) {
    const auto earlier = gradients_.find(index);
    if (earlier == gradients_.end()) {
      gradients_[index] = gradient;
      return;
    }
    std::vector<double> sum = earlier->second.values();
    const std::vector<double> more = gradient.values();
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += more.at(i);
    earlier->second.set_values(sum);
  }

  const Registry& registry_;
  const Op& op_;
  const Attributes& attributes_;
  std::vector<int> wanted_;
  std::map<int, HostTensor> gradients_;
  std::vector<HostTensor> values_;
  std::vector<ValueId> input_ids_;
  std::vector<ValueId> output_ids_;
  std::vector<ValueId> gradient_ids_;
  std::vector<TensorType> input_types_;
  std::vector<TensorType> output_types_;
};

}  // namespace ingot::test
