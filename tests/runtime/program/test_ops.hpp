// A registry of tiny ops without kernels, for tests of passes over graphs.
#pragma once

#include <memory>
#include <string>

#include "ops/op.hpp"

namespace ingot::test {

/// y = f(inputs), the shape of the first input; backward emits `<name>_backward`-like copies of it.
class SameShape : public Op {
 public:
  SameShape(std::string name, int in_place, bool accumulates)
      : name_(std::move(name)), in_place_(in_place), accumulates_(accumulates) {}
  std::string_view name() const override { return name_; }
  std::vector<TensorType> infer(std::span<const TensorType> inputs,
                                const Attributes& /*attributes*/) const override {
    return {inputs.front()};
  }
  int in_place(int /*output*/) const override { return in_place_; }
  bool can_accumulate(int /*output*/) const override { return accumulates_; }
  BackwardReads backward_reads(const Attributes& /*attributes*/) const override {
    return {.inputs = ~0U, .outputs = 0};
  }
  void backward(BackwardBuilder& builder) const override {
    for (int i = 0; i < 4; ++i) {
      if (builder.wanted(i)) {
        builder.emit(
            "grad",
            {builder.input(i), builder.output_gradient(0) == kNoValue ? builder.input(i)
                                                                      : builder.output_gradient(0)},
            {}, {i});
      }
    }
  }

 private:
  std::string name_;
  int in_place_;
  bool accumulates_;
};

/// add(a, b): hands its gradient on to both inputs, so that gradients become shared.
class SharedAdd final : public SameShape {
 public:
  SharedAdd() : SameShape("add", 0, false) {}
  void backward(BackwardBuilder& builder) const override {
    builder.pass_gradient(0, builder.output_gradient(0));
    builder.pass_gradient(1, builder.output_gradient(0));
  }
};

inline void register_test_ops(Registry& registry) {
  registry.add(std::make_unique<SameShape>("f", -1, false));
  registry.add(std::make_unique<SameShape>("in_place", 0, false));
  registry.add(std::make_unique<SameShape>("grad", -1, true));
  registry.add(std::make_unique<SameShape>("copy", -1, false));
  registry.add(std::make_unique<SameShape>("cast", -1, false));
  registry.add(std::make_unique<SharedAdd>());
}

}  // namespace ingot::test
