#include "runtime/program/plan_memory.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

class PlanMemory : public ::testing::Test {
 protected:
  PlanMemory() { test::register_test_ops(registry_); }
  Registry registry_;
};

/// Runs the plan with numbers instead of tensors: writes a token at each output's offset and checks
/// that every input still holds what its producer wrote.
void expect_values_survive(const Graph& graph, const MemoryPlan& plan,
                           const std::vector<std::int64_t>& workspaces) {
  std::vector<int> memory(static_cast<std::size_t>(plan.arena_bytes), -1);
  std::map<ValueId, int> written;
  const auto range = [&](ValueId value) {
    return std::pair(plan.offsets[static_cast<std::size_t>(value)], graph.type(value).bytes());
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const GraphNode& node = graph.nodes[n];
    for (std::int64_t i = 0; i < workspaces[n]; ++i) {
      memory[static_cast<std::size_t>(plan.workspace_offsets[n] + i)] = -2;
    }
    for (const ValueId input : node.inputs) {
      if (graph.value(input).role != Role::kActivation) continue;
      const auto [offset, bytes] = range(input);
      for (std::int64_t i = 0; i < bytes; ++i) {
        ASSERT_EQ(memory[static_cast<std::size_t>(offset + i)], written.at(input))
            << "node " << n << " reads value " << input << " after it was overwritten";
      }
    }
    for (const ValueId output : node.outputs) {
      const auto [offset, bytes] = range(output);
      written[output] = static_cast<int>(output);
      for (std::int64_t i = 0; i < bytes; ++i) {
        memory[static_cast<std::size_t>(offset + i)] = static_cast<int>(output);
      }
    }
  }
}

TEST_F(PlanMemory, KeepsEveryValueUntilItsLastReaderInRandomGraphs) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    Graph graph(registry_);
    std::vector<ValueId> values;
    for (int i = 0; i < 3; ++i) {
      values.push_back(
          graph.add_value({DType::kU8, Shape{1 + int(random() % 300)}}, "x", Role::kInput));
    }
    for (int n = 0; n < 40; ++n) {
      const char* const ops[] = {"f", "in_place"};
      std::vector<ValueId> inputs;
      for (unsigned i = 0; i <= random() % 3; ++i)
        inputs.push_back(values[random() % values.size()]);
      values.push_back(graph.add(ops[random() % 2], inputs, {}, "node").front());
    }
    std::vector<std::int64_t> workspaces(graph.nodes.size());
    for (auto& bytes : workspaces) bytes = random() % 4 == 0 ? std::int64_t(random() % 500) : 0;
    const MemoryPlan plan = plan_memory(graph, workspaces);
    expect_values_survive(graph, plan, workspaces);
    EXPECT_GE(plan.arena_bytes, plan.peak_live_bytes);
  }
}

TEST_F(PlanMemory, ReusesTheMemoryOfDeadValues) {
  Graph graph(registry_);
  ValueId x = graph.add_value({DType::kU8, Shape{1024}}, "x", Role::kInput);
  for (int n = 0; n < 10; ++n) x = graph.add("f", {x}, {}, "node").front();
  const MemoryPlan plan = plan_memory(graph, std::vector<std::int64_t>(10));
  EXPECT_EQ(plan.arena_bytes, 2 * 1024) << "one value being read and one being written";
}

TEST_F(PlanMemory, LetsAnOpWorkInPlaceOnlyWhenNobodyReadsItsInputLater) {
  Graph graph(registry_);
  const ValueId x = graph.add_value({DType::kU8, Shape{64}}, "x", Role::kInput);
  const ValueId a = graph.add("f", {x}, {}, "a").front();
  const ValueId b = graph.add("in_place", {a}, {}, "b").front();
  const ValueId c = graph.add("in_place", {b}, {}, "c").front();
  graph.add("f", {c, a}, {}, "d");
  const MemoryPlan plan = plan_memory(graph, std::vector<std::int64_t>(4));
  EXPECT_NE(plan.offsets[std::size_t(a)], plan.offsets[std::size_t(b)]) << "a is read later";
  EXPECT_EQ(plan.offsets[std::size_t(b)], plan.offsets[std::size_t(c)]) << "b is not";
}

}  // namespace
}  // namespace ingot
