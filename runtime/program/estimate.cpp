#include "runtime/program/estimate.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "runtime/program/update.hpp"

namespace ingot {

namespace {

constexpr std::array<std::string_view, kMemoryKinds> kKindNames = {
    "parameters",      "gradients",        "partial gradients", "moments", "averaged weights",
    "gathered layers", "activations",      "workspaces",        "gaps",    "inputs and outputs",
    "small exchanges", "checkpoint buffer"};

using Bytes = std::array<std::int64_t, kMemoryKinds>;

std::int64_t& at(Bytes& bytes, MemoryKind kind) {
  return bytes[static_cast<std::size_t>(kind)];
}

MemoryKind kind_of_buffer(const std::string& name) {
  if (name == store::kWeights || name == store::kMaster) return MemoryKind::kParameters;
  if (name == store::kGradients) return MemoryKind::kGradients;
  if (name == store::kMoment1 || name == store::kMoment2) return MemoryKind::kMoments;
  if (name == store::kAverage) return MemoryKind::kAveragedWeights;
  return MemoryKind::kInputsOutputs;
}

/// A planned run of the arena, from the first instruction that writes it to the last that touches
/// it.
struct Block {
  std::int64_t begin = 0;  ///< bytes
  std::int64_t end = 0;
  std::size_t first = 0;  ///< instruction
  std::size_t last = 0;
  MemoryKind kind = MemoryKind::kActivations;
};

/// What the memory of a collective's operand is for, where it is not merely a value between ops.
void name_block(Block& block, const Instruction& instruction, bool output) {
  if (instruction.bucket < 0) return;
  if (instruction.kind == InstructionKind::kAllGather) {
    if (output) block.kind = MemoryKind::kGatheredLayers;
  } else if (is_collective(instruction.kind) && !output) {
    block.kind = MemoryKind::kGradients;
  }
}

std::vector<Block> blocks_of(const Program& program) {
  std::map<int, Block> named;
  std::vector<Block> blocks;
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    for (const auto* operands : {&instruction.inputs, &instruction.outputs}) {
      for (const Operand& operand : *operands) {
        if (operand.space != Space::kArena) continue;
        const std::int64_t end = operand.offset + operand.type.bytes();
        Block& block = named
                           .try_emplace(operand.block,
                                        Block{operand.offset, end, i, i, MemoryKind::kActivations})
                           .first->second;
        block.begin = std::min(block.begin, operand.offset);
        block.end = std::max(block.end, end);
        block.last = i;
        name_block(block, instruction, operands == &instruction.outputs);
      }
    }
    if (instruction.workspace_bytes > 0) {
      blocks.push_back({0, instruction.workspace_bytes, i, i, MemoryKind::kWorkspaces});
    }
  }
  for (const auto& [number, block] : named) blocks.push_back(block);
  return blocks;
}

/// What is alive at the instruction at which the most is.
Bytes peak_of(const Program& program) {
  std::vector<Bytes> change(program.instructions.size() + 1, Bytes{});
  for (const Block& block : blocks_of(program)) {
    at(change[block.first], block.kind) += block.end - block.begin;
    at(change[block.last + 1], block.kind) -= block.end - block.begin;
  }
  Bytes live{};
  Bytes most{};
  std::int64_t most_bytes = 0;
  for (const Bytes& step : change) {
    std::int64_t bytes = 0;
    for (std::size_t k = 0; k < live.size(); ++k) bytes += live[k] += step[k];
    if (bytes > most_bytes) {
      most_bytes = bytes;
      most = live;
    }
  }
  return most;
}

const Program* largest_arena(std::span<const ProgramRuns> programs) {
  const auto largest = std::ranges::max_element(
      programs, {}, [](const ProgramRuns& runs) { return runs.program->arena_bytes; });
  return largest == programs.end() ? nullptr : largest->program;
}

/// Adds the arena's bytes to those of the kinds that it is used for.
void add_arena(Bytes& bytes, std::int64_t arena, std::span<const ProgramRuns> programs) {
  const Program* program = largest_arena(programs);
  std::int64_t used = 0;
  if (program != nullptr) {
    const Bytes peak = peak_of(*program);
    for (std::size_t k = 0; k < peak.size(); ++k) {
      bytes[k] += peak[k];
      used += peak[k];
    }
  }
  ensure(used <= arena, "an arena with room for all that is alive in it");
  at(bytes, MemoryKind::kGaps) += arena - used;
}

Traffic traffic_of(const Instruction& instruction, int ranks) {
  Traffic traffic;
  traffic.collective = name_of(instruction.kind);
  traffic.label = instruction.label;
  traffic.bucket = instruction.bucket;
  traffic.ranks = ranks;
  const bool gathers = instruction.kind == InstructionKind::kAllGather;
  for (const Operand& operand : gathers ? instruction.outputs : instruction.inputs) {
    traffic.bytes += operand.type.bytes();
  }
  const int passes = instruction.kind == InstructionKind::kAllReduce ? 2 : 1;
  traffic.wire_bytes = (passes * (ranks - 1) * traffic.bytes + ranks - 1) / ranks;
  return traffic;
}

Work work_of(const Instruction& instruction) {
  const Cost cost = cost_of(instruction);
  return {cost.matrix_flops, cost.other_flops};
}

Work scaled(Work work, std::int64_t times) {
  const auto factor = static_cast<double>(times);
  return {work.matrix * factor, work.other * factor};
}

}  // namespace

std::string_view name_of(MemoryKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

std::int64_t total_bytes(const MemoryTable& table) {
  std::int64_t total = 0;
  for (const auto& [name, bytes] : table) total += bytes;
  return total;
}

std::vector<MemoryUse> memory_by_kind(const MemoryTable& table,
                                      std::span<const ProgramRuns> programs, int gradient_slots) {
  Bytes bytes{};
  std::int64_t partial = 0;
  for (const auto& [name, size] : table) {
    if (name == "arena") {
      add_arena(bytes, size, programs);
    } else {
      at(bytes, kind_of_buffer(name)) += size;
      if (name == store::kGradients) partial = size / gradient_slots * (gradient_slots - 1);
    }
  }
  at(bytes, MemoryKind::kGradients) -= partial;
  at(bytes, MemoryKind::kPartialGradients) += partial;
  std::vector<MemoryUse> uses;
  for (std::size_t k = 0; k < bytes.size(); ++k) {
    if (bytes[k] != 0) uses.push_back({static_cast<MemoryKind>(k), bytes[k]});
  }
  return uses;
}

std::vector<Traffic> step_traffic(std::span<const ProgramRuns> programs,
                                  const ParallelPlan& parallel) {
  std::vector<Traffic> result;
  for (const auto& [program, per_step] : programs) {
    if (per_step == 0) continue;
    for (const Instruction& instruction : program->instructions) {
      if (!is_collective(instruction.kind)) continue;
      Traffic traffic = traffic_of(instruction, group_ranks(instruction.group, parallel));
      traffic.program = program->name;
      traffic.per_step = per_step;
      result.push_back(std::move(traffic));
    }
  }
  return result;
}

std::vector<ProgramCounts> program_counts(std::span<const ProgramRuns> programs) {
  std::vector<ProgramCounts> result;
  for (const auto& [program, per_step] : programs) {
    if (per_step == 0) continue;
    ProgramCounts counts{program->name, per_step};
    for (const Instruction& instruction : program->instructions) {
      counts.ops += instruction.kind == InstructionKind::kOp ? 1 : 0;
      counts.fills += instruction.kind == InstructionKind::kFillZero ? 1 : 0;
      counts.collectives += is_collective(instruction.kind) ? 1 : 0;
      counts.waits += instruction.kind == InstructionKind::kWait ? 1 : 0;
    }
    result.push_back(std::move(counts));
  }
  return result;
}

StepWork step_work(std::span<const ProgramRuns> programs) {
  StepWork step;
  for (const auto& [program, per_step] : programs) {
    if (per_step == 0) continue;
    const bool differentiated = std::ranges::any_of(
        program->instructions, [](const Instruction& one) { return one.backward; });
    // Backward follows all of forward; a forward op behind its beginning is computed again.
    bool in_backward = false;
    for (const Instruction& instruction : program->instructions) {
      if (instruction.kind != InstructionKind::kOp) continue;
      in_backward = in_backward || instruction.backward;
      Work& part = !differentiated        ? step.update
                   : instruction.backward ? step.backward
                   : in_backward          ? step.recomputed
                                          : step.forward;
      part += scaled(work_of(instruction), per_step);
    }
  }
  return step;
}

}  // namespace ingot
