#include "runtime/program/plan_memory.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "runtime/program/schedule.hpp"
#include "tests/runtime/program/test_ops.hpp"

namespace ingot {
namespace {

class PlanMemory : public ::testing::Test {
 protected:
  PlanMemory() { test::register_test_ops(registry_); }
  Registry registry_;
};

Program scheduled(const Graph& graph, const std::vector<std::int64_t>& workspaces) {
  std::size_t node = 0;
  return schedule(graph, {}, {.name = "test"},
                  [&](const Instruction&) { return workspaces[node++]; });
}

std::int64_t offset_of(const Program& program, const Graph& graph, ValueId value) {
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (graph.nodes[n].outputs.front() == value) {
      return program.instructions[n].outputs.front().offset;
    }
  }
  return -1;
}

/// Runs the program with numbers instead of tensors: writes a token at each output's offset and
/// checks that every input still holds what its producer wrote.
void expect_values_survive(const Graph& graph, const Program& program) {
  std::vector<int> memory(static_cast<std::size_t>(program.arena_bytes), -1);
  std::map<ValueId, int> written;
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const GraphNode& node = graph.nodes[n];
    const Instruction& instruction = program.instructions[n];
    for (std::int64_t i = 0; i < instruction.workspace_bytes; ++i) {
      memory[static_cast<std::size_t>(instruction.workspace_offset + i)] = -2;
    }
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      if (graph.value(node.inputs[k]).role != Role::kActivation) continue;
      const Operand& input = instruction.inputs[k];
      for (std::int64_t i = 0; i < input.type.bytes(); ++i) {
        ASSERT_EQ(memory[static_cast<std::size_t>(input.offset + i)], written.at(node.inputs[k]))
            << "node " << n << " reads value " << node.inputs[k] << " after it was overwritten";
      }
    }
    for (std::size_t k = 0; k < node.outputs.size(); ++k) {
      const Operand& output = instruction.outputs[k];
      written[node.outputs[k]] = static_cast<int>(node.outputs[k]);
      for (std::int64_t i = 0; i < output.type.bytes(); ++i) {
        memory[static_cast<std::size_t>(output.offset + i)] = static_cast<int>(node.outputs[k]);
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
    const Program program = scheduled(graph, workspaces);
    expect_values_survive(graph, program);
    EXPECT_GE(program.arena_bytes, program.activation_bytes);
  }
}

TEST_F(PlanMemory, ReusesTheMemoryOfDeadValues) {
  Graph graph(registry_);
  ValueId x = graph.add_value({DType::kU8, Shape{1024}}, "x", Role::kInput);
  for (int n = 0; n < 10; ++n) x = graph.add("f", {x}, {}, "node").front();
  EXPECT_EQ(scheduled(graph, std::vector<std::int64_t>(10)).arena_bytes, 2 * 1024)
      << "one value being read and one being written";
}

TEST_F(PlanMemory, LetsAnOpWorkInPlaceOnlyWhenNobodyReadsItsInputLater) {
  Graph graph(registry_);
  const ValueId x = graph.add_value({DType::kU8, Shape{64}}, "x", Role::kInput);
  const ValueId a = graph.add("f", {x}, {}, "a").front();
  const ValueId b = graph.add("in_place", {a}, {}, "b").front();
  const ValueId c = graph.add("in_place", {b}, {}, "c").front();
  graph.add("f", {c, a}, {}, "d");
  const Program program = scheduled(graph, std::vector<std::int64_t>(4));
  const auto at = [&](ValueId value) { return offset_of(program, graph, value); };
  EXPECT_NE(at(a), at(b)) << "a is read later";
  EXPECT_EQ(at(b), at(c)) << "b is not";
}

}  // namespace
}  // namespace ingot
