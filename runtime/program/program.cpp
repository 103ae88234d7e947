#include "runtime/program/program.hpp"

#include <iterator>
#include <string_view>

namespace ingot {

namespace {

std::string print_operand(const Operand& operand) {
  switch (operand.space) {
    case Space::kArena:
      return fmt::format("arena+{} {}", operand.offset, operand.type.text());
    case Space::kWeights:
      return fmt::format("weights[{}] {}", operand.offset, operand.type.text());
    case Space::kGradients:
      return fmt::format("gradients[{}] {}", operand.offset, operand.type.text());
    case Space::kBuffer:
      return fmt::format("{}{} {}", operand.buffer,
                         operand.offset > 0 ? fmt::format("+{}", operand.offset) : "",
                         operand.type.text());
    case Space::kNone:
      return "-";
  }
  return "?";
}

std::string print_operands(const std::vector<Operand>& operands) {
  std::string text;
  for (const Operand& operand : operands) {
    text += (text.empty() ? "" : ", ") + print_operand(operand);
  }
  return text;
}

}  // namespace

std::string_view name_of(InstructionKind kind) {
  switch (kind) {
    case InstructionKind::kOp:
      return "op";
    case InstructionKind::kFillZero:
      return "fill_zero";
    case InstructionKind::kAllReduce:
      return "all_reduce";
    case InstructionKind::kReduceScatter:
      return "reduce_scatter";
    case InstructionKind::kOrderedReduceScatter:
      return "ordered_reduce_scatter";
    case InstructionKind::kAllGather:
      return "all_gather";
    case InstructionKind::kRecord:
      return "record";
    case InstructionKind::kWait:
      return "wait";
  }
  return "?";
}

std::string_view name_of(RankGroup group) {
  switch (group) {
    case RankGroup::kAll:
      return "all ranks";
    case RankGroup::kShard:
      return "shard group";
    case RankGroup::kReplicas:
      return "replicas";
  }
  return "?";
}

Cost cost_of(const Instruction& op) {
  std::vector<TensorType> inputs;
  std::vector<TensorType> outputs;
  for (const Operand& input : op.inputs) inputs.push_back(input.type);
  for (const Operand& output : op.outputs) outputs.push_back(output.type);
  return op.op->cost({inputs, outputs, op.attributes});
}

Cost Program::cost() const {
  Cost total;
  for (const Instruction& instruction : instructions) {
    if (instruction.kind != InstructionKind::kOp) continue;
    const Cost cost = cost_of(instruction);
    total.matrix_flops += cost.matrix_flops;
    total.other_flops += cost.other_flops;
    total.bytes_read += cost.bytes_read;
    total.bytes_written += cost.bytes_written;
  }
  return total;
}

std::string print(const Program& program) {
  std::string text = fmt::format("program {}: {} instructions, arena {} bytes\n", program.name,
                                 program.instructions.size(), program.arena_bytes);
  auto line = std::back_inserter(text);
  for (std::size_t i = 0; i < program.instructions.size(); ++i) {
    const Instruction& instruction = program.instructions[i];
    fmt::format_to(line, "{:4} {} ", i,
                   instruction.stream == kComputeStream ? "compute" : "comm   ");
    switch (instruction.kind) {
      case InstructionKind::kOp:
        fmt::format_to(line, "{:24} {} <- {}{}", instruction.op->name(),
                       print_operands(instruction.outputs), print_operands(instruction.inputs),
                       instruction.accumulate != 0 ? " (accumulates)" : "");
        break;
      case InstructionKind::kFillZero:
      case InstructionKind::kAllReduce:
      case InstructionKind::kReduceScatter:
      case InstructionKind::kOrderedReduceScatter:
      case InstructionKind::kAllGather:
        fmt::format_to(line, "{:24} {} <- {}", name_of(instruction.kind),
                       print_operands(instruction.outputs), print_operands(instruction.inputs));
        if (instruction.group != RankGroup::kAll) {
          fmt::format_to(line, " ({})", name_of(instruction.group));
        }
        break;
      case InstructionKind::kRecord:
        fmt::format_to(line, "record event {}", instruction.event);
        break;
      case InstructionKind::kWait:
        fmt::format_to(line, "wait event {}", instruction.event);
        break;
    }
    fmt::format_to(line, "  # {}\n", instruction.label);
  }
  return text;
}

}  // namespace ingot
