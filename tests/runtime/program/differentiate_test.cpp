#include "runtime/program/differentiate.hpp"

#include <gtest/gtest.h>

#include "runtime/program/plan_memory.hpp"
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

class Differentiate : public ::testing::Test {
 protected:
  Differentiate() : graph_((test::register_test_ops(registry_), registry_)) {}

  ValueId parameter(int index) {
    return graph_.add_value({DType::kF32, Shape{8}}, "w", Role::kParameter, index);
  }
  Registry registry_;
  Graph graph_;
};

TEST_F(Differentiate, AddsTheSecondContributionToAParameterGradientInPlace) {
  const ValueId w = parameter(0);
  const ValueId a = graph_.add("f", {w}, {}, "a").front();
  const ValueId loss = graph_.add("f", {a, w}, {}, "loss").front();
  const Gradients gradients = differentiate(graph_, loss, 1, false);
  std::vector<std::uint32_t> accumulates;
  for (const GraphNode& node : graph_.nodes) {
    for (const ValueId output : node.outputs) {
      if (output == gradients.parameters[0]) accumulates.push_back(node.accumulate);
    }
  }
  EXPECT_EQ(accumulates, (std::vector<std::uint32_t>{0, 1})) << "overwrites first, then adds";
}

TEST_F(Differentiate, AddsAlwaysWhenGradientsAccumulateOverMicroBatches) {
  const ValueId w = parameter(0);
  const ValueId loss = graph_.add("f", {w}, {}, "loss").front();
  differentiate(graph_, loss, 1, true);
  EXPECT_EQ(graph_.nodes.back().accumulate, 1U);
}

TEST_F(Differentiate, LeavesOutWhatDoesNotLeadToAParameter) {
  const ValueId w = parameter(0);
  const ValueId x = graph_.add_value({DType::kF32, Shape{8}}, "x", Role::kInput);
  const ValueId fixed = graph_.add("f", {x}, {}, "fixed").front();
  const ValueId loss = graph_.add("f", {fixed, w}, {}, "loss").front();
  const std::size_t forward = graph_.nodes.size();
  differentiate(graph_, loss, 1, false);
  EXPECT_EQ(graph_.nodes.size(), forward + 1) << "one op, for the gradient of w alone";
}

TEST_F(Differentiate, CopiesAGradientThatTwoValuesShareBeforeAddingToIt) {
  // r and s share one gradient (add hands it to both); r's grows by the contribution of `early`,
  // which is differentiated while s's is still to be read.
  const ValueId w = parameter(0);
  const ValueId s = graph_.add("f", {w}, {}, "s").front();
  const ValueId r = graph_.add("f", {w}, {}, "r").front();
  const ValueId early = graph_.add("f", {r}, {}, "early").front();
  const ValueId sum = graph_.add("add", {r, s}, {}, "sum").front();
  const ValueId loss = graph_.add("f", {sum, early}, {}, "loss").front();
  differentiate(graph_, loss, 1, false);
  int copies = 0;
  for (const GraphNode& node : graph_.nodes) copies += node.op->name() == "copy" ? 1 : 0;
  EXPECT_EQ(copies, 1);
  // The plan then finds every value intact: a reader after an overwrite would be an error here.
  EXPECT_NO_THROW(assign_blocks(graph_));
}

}  // namespace
}  // namespace ingot
