// Branches, calls and returns. A call gives the callee a frame behind the caller's, both in the
// register rows and in local memory; arguments are copied from the caller's .param variables to the
// callee's. Lanes that call at different times or different functions use the same rows without
// harm: each lane has only one of the frames.
#include <cstring>

#include "execute/builtins.hpp"
#include "execute/decode/decoder.hpp"
#include "execute/interpreter.hpp"
#include "execute/local_memory.hpp"

namespace gpusim::execute {
namespace {

constexpr int kMaximumDepth = 4096;
constexpr std::uint32_t kMaximumLocalBytes = 512 * 1024;

struct Transfer {
  std::uint32_t from = 0, to = 0, bytes = 0;
};

struct CallDetail : Detail {
  int function = -1;                     ///< -1: given by register a
  std::vector<std::uint32_t> arguments;  ///< the caller's local offsets
  std::vector<std::uint32_t> argument_bytes;
  std::vector<std::uint32_t> results;
  std::vector<std::uint32_t> result_bytes;
};

/// Copies `words` words of local memory of the active lanes.
void copy_local(Warp& warp, std::uint32_t from, std::uint32_t to, std::uint32_t bytes,
                LaneMask mask) {
  auto* words = reinterpret_cast<std::uint32_t*>(warp.local.data());
  auto* written = reinterpret_cast<LaneMask*>(warp.local_written.data());
  for (std::uint32_t w = 0; w < (bytes + 3) / 4; ++w) {
    const std::uint32_t* a = words + std::size_t{from / 4 + w} * kLanes;
    std::uint32_t* d = words + std::size_t{to / 4 + w} * kLanes;
    for (int i = 0; i < kLanes; ++i) d[i] = (mask >> i & 1) != 0 ? a[i] : d[i];
    LaneMask& bits = written[to / 4 + w];
    bits = (bits & ~mask) | (written[from / 4 + w] & mask);
  }
}

/// The function that a code address names, -1 for none of this module.
int function_at(const Context& context, std::uint64_t address) {
  const std::uint64_t base =
      kFunctionBase + (std::uint64_t{context.launch.request->module->number} << 24);
  const std::uint64_t distance = address - base;
  const auto& functions = context.launch.program->module->functions;
  if (address < base || distance % 16 != 0 || distance / 16 >= functions.size()) return -1;
  return static_cast<int>(distance / 16);
}

std::uint32_t local_offset(const Decoder& decoder, const ptx::Operand& operand) {
  using OperandKind = ptx::Operand::Kind;
  const auto index = static_cast<std::size_t>(operand.index);
  std::uint32_t base = 0;
  if (operand.kind == OperandKind::kLocal) {
    base = decoder.code.local_offsets[index];
  } else if (operand.kind == OperandKind::kParameter && !decoder.function.entry) {
    base = decoder.code.parameter_offsets[index];
  } else if (operand.kind == OperandKind::kResult) {
    base = decoder.code.result_offsets[index];
  } else {
    decoder.unsupported("arguments of a call must be .param variables");
  }
  return base + static_cast<std::uint32_t>(operand.offset);
}

std::uint32_t bytes_of(const Decoder& decoder, const ptx::Operand& operand) {
  using OperandKind = ptx::Operand::Kind;
  const auto index = static_cast<std::size_t>(operand.index);
  const auto& f = decoder.function;
  const auto& list = operand.kind == OperandKind::kLocal       ? f.locals
                     : operand.kind == OperandKind::kParameter ? f.parameters
                                                               : f.results;
  return static_cast<std::uint32_t>(list[index].bytes);
}

void decode_call(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  // The callee is the operand; some texts keep a single one.
  const ptx::Operand* callee = nullptr;
  for (const ptx::Operand& operand : i.operands) {
    if (operand.kind == ptx::Operand::Kind::kFunction ||
        operand.kind == ptx::Operand::Kind::kRegister) {
      callee = &operand;
      break;
    }
  }
  if (callee == nullptr) decoder.unsupported("the callee is no function and no register");
  Ref address;
  CallDetail call;
  if (callee->kind == ptx::Operand::Kind::kFunction) {
    call.function = callee->index;
    const auto& f = decoder.module.functions[static_cast<std::size_t>(callee->index)];
    if (!f.defined && !is_builtin(f.name)) {
      decoder.unsupported("function " + f.name + " has no body and is not known");
    }
  } else {
    address = decoder.source(*callee, 64);
  }
  for (const ptx::Operand& argument : i.call_arguments) {
    call.arguments.push_back(local_offset(decoder, argument));
    call.argument_bytes.push_back(bytes_of(decoder, argument));
  }
  for (const ptx::Operand& result : i.call_results) {
    call.results.push_back(local_offset(decoder, result));
    call.result_bytes.push_back(bytes_of(decoder, result));
  }
  Op& op = decoder.emit(Kind::kCall);
  decoder.detail<CallDetail>(op) = std::move(call);
  op.a = address;
}

void trap(Context& context, const Op& op, LaneMask mask) {
  context.fail(Fault::kTrap, op, __builtin_ctz(mask), "trap was executed");
}

void breakpoint(Context&, const Op&, LaneMask) {}

void decode_branch(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.empty() || i.operands[0].kind != ptx::Operand::Kind::kLabel) {
    decoder.unsupported("the target of a branch is a label");
  }
  Op& op = decoder.emit(Kind::kBranch);
  op.target = i.operands[0].index;
}

void decode_branch_table(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.size() < 2 || i.operands[1].kind != ptx::Operand::Kind::kTable) {
    decoder.unsupported("brx.idx has an index and a table");
  }
  const Ref index = decoder.source(i.operands[0], 32);
  Op& op = decoder.emit(Kind::kBranchTable);
  const auto& table = decoder.function.branch_tables[static_cast<std::size_t>(i.operands[1].index)];
  decoder.detail<BranchTable>(op).targets.assign(table.begin(), table.end());
  op.a = index;
}

}  // namespace

void enter_call(Context& context, const Op& op, LaneMask mask) {
  const CallDetail& call = op.as<CallDetail>();
  Warp& warp = *context.warp;
  int target = call.function;
  if (target < 0) {
    const std::uint64_t* addresses = context.row64(op.a);
    const std::uint64_t first = addresses[__builtin_ctz(mask)];
    LaneMask same = 0;
    for_lanes(mask, [&](int lane) {
      if (addresses[lane] == first) same |= 1u << lane;
    });
    if (same != mask) split_off_rest(context, same, context.group->pc);
    mask = same;
    target = function_at(context, first);
    if (target < 0) {
      context.fail(Fault::kIllegalAddress, op, __builtin_ctz(mask),
                   "calls address " + std::to_string(first) + ", which is no function");
      return;
    }
  }
  Group& group = *context.group;
  const auto& function =
      context.launch.program->module->functions[static_cast<std::size_t>(target)];
  if (!function.defined) {
    BuiltinCall builtin;
    builtin.arguments = call.arguments;
    builtin.results = call.results;
    run_builtin(context, op, mask, function.name, builtin);
    if (context.event != Event::kFault) group.pc = op.next;
    return;
  }
  const Code* callee = nullptr;
  try {
    callee = &context.launch.program->code(target);
  } catch (const std::runtime_error& error) {
    context.fail(Fault::kIllegalInstruction, op, __builtin_ctz(mask), error.what());
    return;
  }
  const std::uint32_t frame = group.frame + group.code->frame_bytes;
  const std::uint32_t local = group.local + group.code->local_words * 4;
  const int depth = group.call == nullptr ? 1 : group.call->depth + 1;
  const std::uint32_t local_end = local + callee->local_words * 4;
  if (depth > kMaximumDepth || local_end > kMaximumLocalBytes) {
    context.fail(Fault::kStackOverflow, op, __builtin_ctz(mask),
                 "the call stack of a thread is too deep: " + std::to_string(depth) + " calls of " +
                     function.name);
    return;
  }
  warp.registers.ensure(frame + callee->frame_bytes);
  warp.local.ensure(std::size_t{local_end} * kLanes);
  warp.local_written.ensure(local_end);
  auto* written = reinterpret_cast<LaneMask*>(warp.local_written.data());
  for (std::uint32_t w = local / 4; w < local_end / 4; ++w) written[w] &= ~mask;
  for (std::size_t i = 0; i < call.arguments.size() && i < callee->parameter_offsets.size(); ++i) {
    copy_local(warp, group.local + call.arguments[i], local + callee->parameter_offsets[i],
               call.argument_bytes[i], mask);
  }
  CallFrame* record = warp.push_call();
  record->parent = group.call;  // takes over the group's reference
  record->code = group.code;
  record->call = &op;
  record->frame = group.frame;
  record->local = group.local;
  record->depth = depth;
  record->references = 1;
  group.call = record;
  group.code = callee;
  group.pc = 0;
  group.frame = frame;
  group.local = local;
}

void leave_call(Context& context, const Op& op, LaneMask mask) {
  (void)op;
  Warp& warp = *context.warp;
  Group& group = *context.group;
  if (group.call == nullptr) {
    exit_lanes(context, warp, mask);
    return;
  }
  CallFrame* record = group.call;
  const CallDetail& call = record->call->as<CallDetail>();
  const std::vector<std::uint32_t>& results = group.code->result_offsets;
  for (std::size_t i = 0; i < call.results.size() && i < results.size(); ++i) {
    copy_local(warp, group.local + results[i], record->local + call.results[i],
               call.result_bytes[i], mask);
  }
  group.pc = record->call->next;
  group.code = record->code;
  group.frame = record->frame;
  group.local = record->local;
  group.call = record->parent;
  if (record->parent != nullptr) ++record->parent->references;
  warp.release(record);
}

bool decode_control(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode == "bra") {
    decode_branch(decoder);
  } else if (i.opcode == "brx") {
    decode_branch_table(decoder);
  } else if (i.opcode == "call") {
    decode_call(decoder);
  } else if (i.opcode == "ret") {
    decoder.emit(decoder.function.entry ? Kind::kExit : Kind::kReturn);
  } else if (i.opcode == "exit") {
    decoder.emit(Kind::kExit);
  } else if (i.opcode == "trap") {
    decoder.emit_handler(trap);
  } else if (i.opcode == "brkpt") {
    decoder.emit_handler(breakpoint);
  } else {
    return false;
  }
  return true;
}

}  // namespace gpusim::execute
