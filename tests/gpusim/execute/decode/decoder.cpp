// Operands to rows, and the walk over the instructions of a function.
#include "execute/decode/decoder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "execute/context.hpp"

namespace gpusim::execute {
namespace {

constexpr std::uint32_t kLocalAlignment = 16;

std::uint32_t align_up(std::uint32_t value, std::uint32_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

void widen(Context& context, const Op& op, LaneMask mask) {
  std::uint64_t* d = context.row64(op.d);
  const std::uint32_t* a = context.row32(op.a);
  for (int i = 0; i < kLanes; ++i) {
    if ((mask >> i & 1) != 0) d[i] = a[i];
  }
}

void widen_signed(Context& context, const Op& op, LaneMask mask) {
  std::uint64_t* d = context.row64(op.d);
  const std::uint32_t* a = context.row32(op.a);
  for (int i = 0; i < kLanes; ++i) {
    if ((mask >> i & 1) != 0) {
      d[i] = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(a[i])));
    }
  }
}

void narrow(Context& context, const Op& op, LaneMask mask) {
  std::uint32_t* d = context.row32(op.d);
  const std::uint64_t* a = context.row64(op.a);
  for (int i = 0; i < kLanes; ++i) {
    if ((mask >> i & 1) != 0) d[i] = static_cast<std::uint32_t>(a[i]);
  }
}

int width_class(int declared) {
  return declared == 1 ? 1 : declared <= 32 ? 32 : 64;
}

Handler conversion(int from, int to, bool sign_extend) {
  if (from == 32 && to == 64) return sign_extend ? widen_signed : widen;
  if (from == 64 && to == 32) return narrow;
  return nullptr;
}

/// A literal as the bits of a value of `bits` bits.
std::uint64_t literal(const ptx::Operand& operand, int bits) {
  if (!operand.is_float) return operand.bits;
  if (operand.is_double && bits <= 32) {
    return std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(operand.bits)));
  }
  if (!operand.is_double && bits == 64) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(operand.bits));
    return std::bit_cast<std::uint64_t>(static_cast<double>(value));
  }
  return operand.bits;
}

}  // namespace

Decoder::Decoder(Program& owner, Code& target)
    : program(owner),
      code(target),
      module(*owner.module),
      function(owner.module->functions[static_cast<std::size_t>(target.function)]) {
  for (const ptx::Register& r : function.registers) bits_.push_back(width_class(r.bits));
}

int Decoder::width(const ptx::Operand& operand) const {
  if (operand.kind != ptx::Operand::Kind::kRegister) return 0;
  return bits_[static_cast<std::size_t>(operand.index)];
}

Ref Decoder::temporary(int bits) {
  bits_.push_back(width_class(bits));
  return Ref::virtual_register(static_cast<int>(bits_.size()) - 1);
}

Ref Decoder::constant(std::uint64_t value, int bits) {
  if (bits == 1) value = value != 0 ? kAllLanes : 0;
  if (bits <= 32) value &= 0xffffffffu;
  const void*& row = constants_[{value, bits == 64 ? 64 : 32}];
  if (row == nullptr) {
    constexpr std::size_t kAlignment = 64;
    const std::size_t bytes = (bits == 64 ? 8 : 4) * kLanes;
    code.constants.emplace_back((bytes + kAlignment) / 8);
    void* start = code.constants.back().data();
    std::size_t room = bytes + kAlignment;
    start = std::align(kAlignment, bytes, start, room);
    for (int i = 0; i < kLanes; ++i) {
      if (bits == 64) {
        static_cast<std::uint64_t*>(start)[i] = value;
      } else {
        static_cast<std::uint32_t*>(start)[i] = static_cast<std::uint32_t>(value);
      }
    }
    row = start;
  }
  return Ref::constant(row);
}

std::int64_t Decoder::immediate(const ptx::Operand& operand) const {
  if (operand.kind != ptx::Operand::Kind::kImmediate) unsupported("an operand must be a constant");
  return static_cast<std::int64_t>(operand.bits);
}

Ref Decoder::source(const ptx::Operand& operand, int bits) {
  using Operand = ptx::Operand;
  const int wanted = width_class(bits);
  switch (operand.kind) {
    case Operand::Kind::kRegister: {
      const Ref ref = Ref::virtual_register(operand.index);
      const int have = bits_[static_cast<std::size_t>(operand.index)];
      if (have == wanted) return ref;
      Handler convert = conversion(have, wanted, false);
      if (convert == nullptr) unsupported("a predicate stands where a value is expected");
      const Ref result = temporary(wanted);
      Op& op = emit_helper(convert);
      op.d = result;
      op.a = ref;
      return result;
    }
    case Operand::Kind::kImmediate:
      return constant(literal(operand, bits), bits);
    case Operand::Kind::kSpecial: {
      const Ref result = temporary(wanted);
      emit_special(*this, result, operand.name, wanted);
      return result;
    }
    case Operand::Kind::kVariable: {
      const auto& variable = module.variables[static_cast<std::size_t>(operand.index)];
      if (variable.space == ptx::Space::kShared) {
        const std::uint32_t base = program.shared_offsets[static_cast<std::size_t>(operand.index)];
        return constant(base + static_cast<std::uint64_t>(operand.offset), bits);
      }
      [[fallthrough]];
    }
    case Operand::Kind::kFunction:
    case Operand::Kind::kLocal:
    case Operand::Kind::kParameter:
    case Operand::Kind::kResult: {
      const Ref wide = temporary(64);
      emit_symbol(*this, wide, operand);
      if (wanted == 64) return wide;
      const Ref result = temporary(32);
      Op& op = emit_helper(narrow);
      op.d = result;
      op.a = wide;
      return result;
    }
    default:
      unsupported("unexpected kind of operand");
  }
}

Ref Decoder::destination(const ptx::Operand& operand, int bits, bool sign_extend) {
  const int wanted = width_class(bits);
  if (operand.kind == ptx::Operand::Kind::kSink) return temporary(wanted);
  if (operand.kind != ptx::Operand::Kind::kRegister) unsupported("the result is no register");
  const int have = bits_[static_cast<std::size_t>(operand.index)];
  const Ref ref = Ref::virtual_register(operand.index);
  if (have == wanted) return ref;
  if (conversion(wanted, have, sign_extend) == nullptr) {
    unsupported("the result is no register of this kind");
  }
  const Ref result = temporary(wanted);
  conversions_.push_back({ref, result, sign_extend});
  return result;
}

Address Decoder::address(const ptx::Operand& operand) {
  using Operand = ptx::Operand;
  Address result;
  const Operand* base = &operand;
  if (operand.kind == Operand::Kind::kAddress) {
    if (operand.elements.empty()) unsupported("an address without a base");
    result.offset = operand.offset;
    base = &operand.elements[0];
  }
  switch (base->kind) {
    case Operand::Kind::kRegister:
      result.row = Ref::virtual_register(base->index);
      result.wide = width(*base) == 64;
      return result;
    case Operand::Kind::kImmediate:
      result.offset += static_cast<std::int64_t>(base->bits);
      return result;
    case Operand::Kind::kVariable: {
      const auto& variable = module.variables[static_cast<std::size_t>(base->index)];
      if (variable.space == ptx::Space::kShared) {
        result.offset +=
            base->offset + program.shared_offsets[static_cast<std::size_t>(base->index)];
        return result;
      }
      result.row = source(*base, 64);
      result.wide = true;
      return result;
    }
    case Operand::Kind::kLocal:
      result.frame_local = true;
      result.offset += base->offset + code.local_offsets[static_cast<std::size_t>(base->index)];
      return result;
    case Operand::Kind::kParameter: {
      const auto index = static_cast<std::size_t>(base->index);
      result.offset += base->offset;
      if (function.entry) {
        result.entry_parameter = true;
        result.offset += static_cast<std::int64_t>(function.parameters[index].offset);
      } else {
        result.frame_local = true;
        result.offset += code.parameter_offsets[index];
      }
      return result;
    }
    case Operand::Kind::kResult:
      result.frame_local = true;
      result.offset += base->offset + code.result_offsets[static_cast<std::size_t>(base->index)];
      return result;
    default:
      unsupported("unexpected base of an address");
  }
}

Op& Decoder::emit(Kind kind) {
  Op op;
  op.kind = kind;
  op.instruction = index_;
  if (instruction_->guard >= 0) {
    op.guard = instruction_->guard * 4;  // a virtual register until allocation
    op.guard_negated = instruction_->guard_negated;
  }
  block_->ops.push_back(op);
  return block_->ops.back();
}

Op& Decoder::emit_handler(Handler handler, Kind kind) {
  Op& op = emit(kind);
  op.handler = handler;
  return op;
}

Op& Decoder::emit_helper(Handler handler) {
  Op op;
  op.kind = Kind::kHandler;
  op.handler = handler;
  op.instruction = index_;
  op.counted = false;
  block_->ops.push_back(op);
  return block_->ops.back();
}

void Decoder::unsupported(const std::string& why) const {
  throw DecodeError("unsupported instruction `" + text_of(function, module, *instruction_) +
                    "` at " + place_of(module, *instruction_) + " in " + function.name +
                    (why.empty() ? "" : ": " + why));
}

void Decoder::layout_locals() {
  std::uint32_t next = 0;
  const auto place = [&next](const ptx::Variable& variable) {
    next = align_up(next, std::max<std::uint32_t>(kLocalAlignment,
                                                  static_cast<std::uint32_t>(variable.alignment)));
    const std::uint32_t at = next;
    next += static_cast<std::uint32_t>(variable.bytes);
    return at;
  };
  if (!function.entry) {
    for (const auto& p : function.parameters) code.parameter_offsets.push_back(place(p));
    for (const auto& r : function.results) code.result_offsets.push_back(place(r));
  }
  for (const auto& l : function.locals) code.local_offsets.push_back(place(l));
  code.local_words = align_up(next, kLocalAlignment) / 4;
}

void Decoder::find_uses() {
  used_.assign(function.registers.size(), false);
  const auto mark = [this](const ptx::Operand& operand, const auto& self) -> void {
    if (operand.kind == ptx::Operand::Kind::kRegister) {
      used_[static_cast<std::size_t>(operand.index)] = true;
    }
    for (const auto& element : operand.elements) self(element, self);
  };
  for (const ptx::Instruction& i : function.instructions) {
    if (i.guard >= 0) used_[static_cast<std::size_t>(i.guard)] = true;
    const bool store = i.opcode == "st";
    const bool load = i.opcode == "ld" || i.opcode == "ldu";
    for (std::size_t o = 0; o < i.operands.size(); ++o) {
      if (store && o == 1) continue;
      if (load && o == 0) continue;
      const bool address = i.operands[o].kind == ptx::Operand::Kind::kAddress;
      if (!store && o == 0 && i.operands.size() > 1 && !address) continue;  // a destination
      mark(i.operands[o], mark);
    }
    for (const auto& argument : i.call_arguments) mark(argument, mark);
  }
}

void Decoder::decode_instruction(int index) {
  index_ = index;
  instruction_ = &function.instructions[static_cast<std::size_t>(index)];
  using Family = bool (*)(Decoder&);
  constexpr Family kFamilies[] = {decode_move,     decode_load_store,     decode_control,
                                  decode_atomic,   decode_warp_operation, decode_barrier,
                                  decode_mbarrier, decode_async_copy,     decode_bulk_copy,
                                  decode_matrix,   decode_cluster,        decode_miscellaneous};
  for (const Family family : kFamilies) {
    if (family(*this)) {
      finish_instruction();
      return;
    }
  }
  unsupported("");
}

void Decoder::finish_instruction() {
  for (const Conversion& c : conversions_) {
    const int from = bits_[static_cast<std::size_t>(c.from.number())];
    const int to = bits_[static_cast<std::size_t>(c.to.number())];
    Op& op = emit_handler(conversion(from, to, c.sign_extend));
    op.counted = false;
    op.d = c.to;
    op.a = c.from;
  }
  conversions_.clear();
}

void Decoder::run() {
  layout_locals();
  find_uses();
  std::vector<BasicBlock> blocks = find_blocks(*this);
  for (BasicBlock& block : blocks) {
    block_ = &block;
    for (int i = block.first; i < block.last; ++i) decode_instruction(i);
  }
  order_blocks(*this, blocks);
  allocate_registers(*this);
}

}  // namespace gpusim::execute
