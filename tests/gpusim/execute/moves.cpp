// mov in the forms that arithmetic does not know (packing and unpacking vectors, predicates,
// symbols, special registers), cvta and isspacep.
#include "execute/decode/decoder.hpp"
#include "execute/spaces.hpp"

namespace gpusim::execute {
namespace {

struct PackDetail : Detail {
  unsigned element_bits = 32;
};

void pack(Context& context, const Op& op, LaneMask mask) {
  const PackDetail& detail = op.as<PackDetail>();
  const bool wide = detail.element_bits * detail.inputs.size() == 64;
  for_lanes(mask, [&](int lane) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < detail.inputs.size(); ++i) {
      const std::uint64_t part =
          context.row32(detail.inputs[i])[lane] & (~0ULL >> (64 - detail.element_bits));
      value |= part << (i * detail.element_bits);
    }
    if (wide) {
      context.row64(op.d)[lane] = value;
    } else {
      context.row32(op.d)[lane] = static_cast<std::uint32_t>(value);
    }
  });
}

void unpack(Context& context, const Op& op, LaneMask mask) {
  const PackDetail& detail = op.as<PackDetail>();
  const bool wide = detail.element_bits * detail.outputs.size() == 64;
  for_lanes(mask, [&](int lane) {
    const std::uint64_t value = wide ? context.row64(op.a)[lane] : context.row32(op.a)[lane];
    for (std::size_t i = 0; i < detail.outputs.size(); ++i) {
      const std::uint64_t part = value >> (i * detail.element_bits);
      context.row32(detail.outputs[i])[lane] =
          static_cast<std::uint32_t>(part & (~0ULL >> (64 - detail.element_bits)));
    }
  });
}

void pack_pair(Context& context, const Op& op, LaneMask mask) {
  const PackDetail& detail = op.as<PackDetail>();
  const std::uint32_t* low = context.row32(detail.inputs[0]);
  const std::uint32_t* high = context.row32(detail.inputs[1]);
  std::uint64_t* d = context.row64(op.d);
  for (int i = 0; i < kLanes; ++i) {
    const std::uint64_t value = std::uint64_t{high[i]} << 32 | low[i];
    d[i] = (mask >> i & 1) != 0 ? value : d[i];
  }
}

void move_predicate(Context& context, const Op& op, LaneMask mask) {
  LaneMask value = context.predicate(op.a);
  if (op.negate_a) value = ~value;
  LaneMask& d = context.predicate(op.d);
  d = (d & ~mask) | (value & mask);
}

int total_bits(const Decoder& decoder) {
  for (const std::string& m : decoder.instruction().modifiers) {
    if (m == "b16") return 16;
    if (m == "b32") return 32;
    if (m == "b64") return 64;
  }
  decoder.unsupported("vectors are packed into b16, b32 and b64 only");
}

void decode_pack(Decoder& decoder, const ptx::Operand& d, const ptx::Operand& a) {
  const int total = total_bits(decoder);
  const unsigned element = static_cast<unsigned>(total) / static_cast<unsigned>(a.elements.size());
  std::vector<Ref> inputs;
  for (const ptx::Operand& part : a.elements) inputs.push_back(decoder.source(part, 32));
  const Ref result = decoder.destination(d, total);
  Op& op = decoder.emit_handler(element == 32 ? pack_pair : pack);
  PackDetail& detail = decoder.detail<PackDetail>(op);
  detail.element_bits = element;
  detail.inputs = std::move(inputs);
  op.d = result;
}

void decode_unpack(Decoder& decoder, const ptx::Operand& d, const ptx::Operand& a) {
  const int total = total_bits(decoder);
  const Ref value = decoder.source(a, total);
  std::vector<Ref> outputs;
  for (const ptx::Operand& part : d.elements) outputs.push_back(decoder.destination(part, 32));
  Op& op = decoder.emit_handler(unpack);
  PackDetail& detail = decoder.detail<PackDetail>(op);
  detail.element_bits = static_cast<unsigned>(total) / static_cast<unsigned>(d.elements.size());
  detail.outputs = std::move(outputs);
  op.a = value;
}

/// The distance between a space's addresses and their generic ones.
std::uint64_t window_of(const Context& context, ptx::Space space) {
  switch (space) {
    case ptx::Space::kShared:
      return shared_window(*context.block);
    case ptx::Space::kLocal:
      return kLocalWindow;
    case ptx::Space::kParam:
      return kParameterWindow;
    default:
      return 0;
  }
}

struct SpaceDetail : Detail {
  ptx::Space space = ptx::Space::kGlobal;
  bool own_block = false;  ///< shared::cta, not that of other blocks of the cluster
};

void to_generic(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t window = window_of(context, op.as<SpaceDetail>().space);
  const std::uint64_t* a = context.row64(op.a);
  std::uint64_t* d = context.row64(op.d);
  for_lanes(mask, [&](int lane) { d[lane] = a[lane] + window; });
}

void from_generic(Context& context, const Op& op, LaneMask mask) {
  const std::uint64_t window = window_of(context, op.as<SpaceDetail>().space);
  const std::uint64_t* a = context.row64(op.a);
  std::uint64_t* d = context.row64(op.d);
  for_lanes(mask, [&](int lane) { d[lane] = a[lane] - window; });
}

void is_space(Context& context, const Op& op, LaneMask mask) {
  const SpaceDetail& detail = op.as<SpaceDetail>();
  const ptx::Space space = detail.space;
  const std::uint64_t* a = context.row64(op.a);
  LaneMask result = 0;
  for_lanes(mask, [&](int lane) {
    ptx::Space found = space_of(a[lane]);
    // Constant memory lies among the global addresses here.
    if (space == ptx::Space::kConst && found == ptx::Space::kGlobal) {
      const Allocation* allocation = AddressSpace::instance().find(a[lane]);
      if (allocation != nullptr && allocation->read_only) found = ptx::Space::kConst;
    }
    const bool own = (a[lane] - kSharedWindow) / kSharedSlot == context.block->cluster_rank;
    if (found == space && (own || !detail.own_block)) result |= 1u << lane;
  });
  LaneMask& d = context.predicate(op.d);
  d = (d & ~mask) | result;
}

ptx::Space named_space(const Decoder& decoder) {
  for (const std::string& m : decoder.instruction().modifiers) {
    if (m == "global") return ptx::Space::kGlobal;
    if (m == "shared" || m == "shared::cta" || m == "shared::cluster") return ptx::Space::kShared;
    if (m == "local") return ptx::Space::kLocal;
    if (m == "const") return ptx::Space::kConst;
    if (m == "param" || m == "param::entry" || m == "param::func") {
      return decoder.function.entry || m == "param::entry" ? ptx::Space::kParam
                                                           : ptx::Space::kLocal;
    }
  }
  decoder.unsupported("no state space is named");
}

void decode_cvta(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.size() != 2) decoder.unsupported("two operands are expected");
  const ptx::Space space = named_space(decoder);
  const Ref a = decoder.source(i.operands[1], 64);
  const Ref d = decoder.destination(i.operands[0], 64);
  Op& op = decoder.emit_handler(i.has("to") ? from_generic : to_generic);
  decoder.detail<SpaceDetail>(op).space = space;
  op.a = a;
  op.d = d;
}

void decode_isspacep(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.operands.size() != 2) decoder.unsupported("two operands are expected");
  const ptx::Space space = named_space(decoder);
  const Ref a = decoder.source(i.operands[1], 64);
  const Ref d = decoder.destination(i.operands[0], 1);
  Op& op = decoder.emit_handler(is_space);
  SpaceDetail& detail = decoder.detail<SpaceDetail>(op);
  detail.space = space;
  // Without a qualifier .shared is .shared::cta.
  detail.own_block = space == ptx::Space::kShared && !i.has("shared::cluster");
  op.a = a;
  op.d = d;
}

}  // namespace

bool decode_move(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  using OperandKind = ptx::Operand::Kind;
  if (i.opcode == "cvta") {
    decode_cvta(decoder);
    return true;
  }
  if (i.opcode == "isspacep") {
    decode_isspacep(decoder);
    return true;
  }
  if (i.opcode != "mov" || i.operands.size() != 2) return false;
  const ptx::Operand& d = i.operands[0];
  const ptx::Operand& a = i.operands[1];
  if (d.kind == OperandKind::kVector) {
    decode_unpack(decoder, d, a);
    return true;
  }
  if (a.kind == OperandKind::kVector) {
    decode_pack(decoder, d, a);
    return true;
  }
  if (i.has("pred")) {
    const Ref value = decoder.source(a, 1);
    const Ref result = decoder.destination(d, 1);
    Op& op = decoder.emit_handler(move_predicate);
    op.a = value;
    op.d = result;
    op.negate_a = a.negated;
    return true;
  }
  // Symbols and special registers go straight to their register where nothing guards it.
  const int bits = decoder.width(d);
  if (i.guard < 0 && d.kind == OperandKind::kRegister && (bits == 32 || bits == 64)) {
    if (a.kind == OperandKind::kSpecial) {
      emit_special(decoder, decoder.destination(d, bits), a.name, bits);
      decoder.last().counted = true;
      return true;
    }
    const bool shared =
        a.kind == OperandKind::kVariable &&
        decoder.module.variables[static_cast<std::size_t>(a.index)].space == ptx::Space::kShared;
    if (bits == 64 && !shared &&
        (a.kind == OperandKind::kVariable || a.kind == OperandKind::kFunction ||
         a.kind == OperandKind::kLocal || a.kind == OperandKind::kParameter ||
         a.kind == OperandKind::kResult)) {
      emit_symbol(decoder, decoder.destination(d, 64), a);
      decoder.last().counted = true;
      return true;
    }
  }
  return false;
}

}  // namespace gpusim::execute
