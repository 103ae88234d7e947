// Fusion in differentiated graphs, with ingot's own ops.
#include "runtime/program/fuse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "runtime/program/differentiate.hpp"

namespace ingot {
namespace {

class FuseBackward : public ::testing::Test {
 protected:
  FuseBackward() : graph_((register_ops(registry_), registry_)) {}

  ValueId weight(std::int64_t outputs, std::int64_t inputs) {
    return graph_.add_value({DType::kF32, Shape{outputs, inputs}}, "weight", Role::kParameter,
                            parameters_++);
  }
  ValueId linear(ValueId x, std::int64_t outputs, std::int64_t inputs, const char* activation) {
    return graph_
        .add("linear", {x, weight(outputs, inputs), kNoValue},
             {{"activation", std::string(activation)}}, "linear")
        .front();
  }
  void differentiate_loss_of(ValueId y) {
    const ValueId targets = graph_.add_value({DType::kI32, Shape{6}}, "targets", Role::kInput);
    const ValueId losses =
        graph_.add("cross_entropy", {y, targets}, {{"gradient", std::int64_t{1}}}, "loss").front();
    differentiate(graph_, losses, parameters_, false);
  }
  std::int64_t count(const std::string& op) const {
    return std::ranges::count_if(graph_.nodes,
                                 [&](const GraphNode& node) { return node.op->name() == op; });
  }

  Registry registry_;
  Graph graph_;
  int parameters_ = 0;
};

TEST_F(FuseBackward, JoinsAProductWithTheGeluBehindIt) {
  const ValueId x = graph_.add_value({DType::kF32, Shape{6, 8}}, "x", Role::kInput);
  const ValueId hidden = linear(x, 16, 8, "gelu");
  const ValueId y = linear(hidden, 8, 16, "none");
  differentiate_loss_of(y);
  ASSERT_EQ(count("gelu_backward"), 1);
  const auto nodes = graph_.nodes.size();
  fuse_backward(graph_);
  EXPECT_EQ(graph_.nodes.size(), nodes - 1);
  EXPECT_EQ(count("gelu_backward"), 0);
  EXPECT_EQ(count("linear_backward_input"), 0);
  ASSERT_EQ(count("linear_backward_gelu"), 1);
  // What follows reads the fused op's result, which is made before.
  ValueId gradient = kNoValue;
  for (const GraphNode& node : graph_.nodes) {
    if (node.op->name() == "linear_backward_gelu") gradient = node.outputs.front();
    if (node.op->name() == "linear_backward_weight" && node.inputs[1] == x) {
      EXPECT_EQ(node.inputs[0], gradient);
    }
  }
}

TEST_F(FuseBackward, LeavesAGradientThatHasSeveralSourcesAlone) {
  const ValueId x = graph_.add_value({DType::kF32, Shape{6, 8}}, "x", Role::kInput);
  const ValueId hidden = linear(x, 16, 8, "gelu");
  const ValueId first = linear(hidden, 8, 16, "none");
  const ValueId second = linear(hidden, 8, 16, "none");
  const ValueId y = graph_.add("add", {first, second}, {}, "sum").front();
  differentiate_loss_of(y);
  fuse_backward(graph_);
  EXPECT_EQ(count("gelu_backward"), 1);
  EXPECT_EQ(count("linear_backward_gelu"), 0);
}

}  // namespace
}  // namespace ingot
