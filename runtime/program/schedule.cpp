#include "runtime/program/schedule.hpp"

#include <algorithm>

#include "runtime/program/plan_memory.hpp"
#include "runtime/program/synchronise.hpp"

namespace ingot {

namespace {

void add_workspaces(Draft& draft, const WorkspaceQuery& workspace) {
  for (Instruction& instruction : draft.instructions) {
    if (instruction.kind != InstructionKind::kOp &&
        instruction.kind != InstructionKind::kOrderedReduceScatter) {
      continue;
    }
    instruction.workspace_bytes = workspace(instruction);
    if (instruction.workspace_bytes > 0) {
      instruction.workspace_block = draft.add_block(instruction.workspace_bytes);
    }
  }
}

/// Turns offsets in blocks into offsets in the arena.
void settle(Instruction& instruction, const MemoryPlan& plan) {
  const auto offset_of = [&](int block) { return plan.offsets[static_cast<std::size_t>(block)]; };
  for (auto* operands : {&instruction.inputs, &instruction.outputs}) {
    for (Operand& operand : *operands) {
      if (operand.block >= 0) operand.offset += offset_of(operand.block);
    }
  }
  if (instruction.workspace_block >= 0) {
    instruction.workspace_offset = offset_of(instruction.workspace_block);
  }
}

/// The draft as it lies in memory: the arena is one block, and workspaces are written in it.
Draft in_memory(const Draft& settled) {
  Draft draft;
  draft.instructions = settled.instructions;
  draft.gates.assign(draft.instructions.size(), Draft::kNoGate);
  for (Instruction& instruction : draft.instructions) {
    for (auto* operands : {&instruction.inputs, &instruction.outputs}) {
      for (Operand& operand : *operands) {
        if (operand.space == Space::kArena) operand.block = 0;
      }
    }
    if (instruction.workspace_bytes == 0) continue;
    const TensorType bytes{DType::kU8, Shape{instruction.workspace_bytes}};
    instruction.outputs.push_back({Space::kArena, instruction.workspace_offset, "", bytes, 0});
  }
  return draft;
}

}  // namespace

Program schedule(const Graph& graph, const StoreLayout& layout, const PlacementOptions& options,
                 const WorkspaceQuery& workspace) {
  Draft draft = place(graph, layout, options);
  add_workspaces(draft, workspace);
  const Synchronisation order = synchronise(draft);
  const MemoryPlan plan = plan_memory(draft, order);
  Program program;
  program.name = options.name;
  program.arena_bytes = plan.arena_bytes;
  program.activation_bytes = plan.peak_live_bytes;
  for (Instruction& instruction : draft.instructions) {
    program.workspace_bytes = std::max(program.workspace_bytes, instruction.workspace_bytes);
    settle(instruction, plan);
  }
  // Gates have bounded the memory. What that does not reuse needs no wait: a stream that may run
  // ahead begins its exchange earlier.
  program.instructions = insert_events(draft, synchronise(in_memory(draft)), &program.events);
  return program;
}

}  // namespace ingot
