#include "runtime/program/draft.hpp"

#include "runtime/program/update.hpp"

namespace ingot {

namespace {

const std::string kWeightsName = store::kWeights;
const std::string kGradientsName = store::kGradients;

Access access_of(const Operand& operand, bool writes) {
  Access access;
  access.writes = writes;
  access.begin = operand.offset;
  switch (operand.space) {
    case Space::kArena:
      access.block = operand.block;
      break;
    case Space::kWeights:
      access.buffer = &kWeightsName;
      access.begin *= size_of(operand.type.dtype);
      break;
    case Space::kGradients:
      access.buffer = &kGradientsName;
      access.begin *= size_of(operand.type.dtype);
      break;
    case Space::kBuffer:
      access.buffer = &operand.buffer;
      break;
    case Space::kNone:
      break;
  }
  access.end = access.begin + operand.type.bytes();
  return access;
}

bool same_memory(const Access& a, const Access& b) {
  if (a.buffer == nullptr || b.buffer == nullptr) {
    return a.buffer == b.buffer && a.block == b.block && a.block >= 0;
  }
  return *a.buffer == *b.buffer;
}

}  // namespace

void collect_accesses(const Instruction& instruction, std::vector<Access>& accesses) {
  const std::uint32_t mutated =
      instruction.kind == InstructionKind::kOp ? instruction.op->mutated_inputs() : 0;
  for (std::size_t i = 0; i < instruction.inputs.size(); ++i) {
    if (instruction.inputs[i].space == Space::kNone) continue;
    accesses.push_back(access_of(instruction.inputs[i], ((mutated >> i) & 1U) != 0));
  }
  for (const Operand& output : instruction.outputs) {
    const Access whole = access_of(output, true);
    if (instruction.kind == InstructionKind::kAllGather) {
      // A block that is gathered from its own place is read only.
      const Access own = access_of(instruction.inputs.front(), false);
      if (same_memory(whole, own) && own.begin >= whole.begin && own.end <= whole.end) {
        Access before = whole;
        before.end = own.begin;
        Access after = whole;
        after.begin = own.end;
        accesses.push_back(before);
        accesses.push_back(after);
        continue;
      }
    }
    accesses.push_back(whole);
  }
}

bool conflict(const Access& a, const Access& b) {
  return (a.writes || b.writes) && a.begin < b.end && b.begin < a.end && same_memory(a, b);
}

}  // namespace ingot
