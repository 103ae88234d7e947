// Arithmetic comes from find_alu(); here its operands are brought to rows. And the instructions
// that do nothing in a simulator, or only change who runs next.
#include "execute/decode/decoder.hpp"
#include "execute/memory_access.hpp"

namespace gpusim::execute {
namespace {

bool decode_alu(Decoder& decoder, std::string& why) {
  const ptx::Instruction& i = decoder.instruction();
  // cvt may read and write registers wider than its types.
  int d_bits = 0, a_bits = 0;
  if (i.opcode == "cvt" && i.operands.size() >= 2) {
    d_bits = decoder.width(i.operands[0]);
    a_bits = decoder.width(i.operands[1]);
  }
  const AluEntry entry = find_alu(i, why, d_bits, a_bits);
  if (entry.function == nullptr) return false;
  if (i.operands.empty()) decoder.unsupported("operands are missing");
  std::size_t count = i.operands.size();
  std::uint32_t constant = 0;
  if (i.opcode == "lop3") {
    // The table, and behind it perhaps a predicate.
    const std::size_t table = 4;
    if (count <= table) decoder.unsupported("lop3 needs a table");
    constant = static_cast<std::uint32_t>(decoder.immediate(i.operands[table]));
    count = table;
  }
  const int bits[4] = {entry.a_bits, entry.b_bits, entry.c_bits, entry.e_bits};
  Ref sources[4];
  bool negated[4] = {};
  for (std::size_t s = 0; s < 4 && s + 1 < count; ++s) {
    if (bits[s] == 0) continue;
    const ptx::Operand& operand = i.operands[s + 1];
    sources[s] = decoder.source(operand, bits[s]);
    negated[s] = operand.negated;
  }
  Ref d, d2;
  if (entry.d_bits != 0) d = decoder.destination(i.operands[0], entry.d_bits);
  if (entry.d2_bits != 0 && !i.operands[0].second.empty()) {
    d2 = decoder.destination(i.operands[0].second[0], entry.d2_bits);
  }
  const bool plain = i.guard < 0 && d2.absent() && sources[3].absent() && !negated[0] &&
                     !negated[1] && !negated[2] && constant == 0 && !entry.writes_carry &&
                     !entry.reads_carry;
  Op& op = decoder.emit(plain ? Kind::kPlainAlu : Kind::kAlu);
  op.alu = entry.function;
  op.d = d;
  op.d2 = d2;
  op.a = sources[0];
  op.b = sources[1];
  op.c = sources[2];
  op.e = sources[3];
  op.negate_a = negated[0];
  op.negate_b = negated[1];
  op.negate_c = negated[2];
  op.immediate = constant;
  return true;
}

void nothing(Context&, const Op&, LaneMask) {}

struct FenceDetail : Detail {
  PeerScope scope = PeerScope::kDevice;
  bool memory = true;  ///< false: between the proxies of one thread
};

void fence(Context& context, const Op& op, LaneMask mask) {
  const auto& detail = op.as<FenceDetail>();
  if (detail.memory) context.block->peers.fence(context.warp->index, mask, detail.scope);
  context.block->races.release(context.warp->index);
  context.block->races.acquire(context.warp->index);
}

void sleep(Context& context, const Op&, LaneMask) {
  context.event = Event::kYield;
}

bool does_nothing(const std::string& opcode) {
  return opcode == "prefetch" || opcode == "prefetchu" || opcode == "discard" ||
         opcode == "applypriority" || opcode == "griddepcontrol" || opcode == "setmaxnreg" ||
         opcode == "pmevent" || opcode == "createpolicy";
}

}  // namespace

bool decode_miscellaneous(Decoder& decoder) {
  const ptx::Instruction& i = decoder.instruction();
  if (i.opcode == "membar" || i.opcode == "fence") {
    FenceDetail detail;
    detail.scope = i.has("sys") ? PeerScope::kSystem : PeerScope::kDevice;
    for (const std::string& m : i.modifiers) {
      if (m.starts_with("proxy") || m == "mbarrier_init") detail.memory = false;
    }
    Op& op = decoder.emit_handler(fence);
    static_cast<FenceDetail&>(decoder.detail<FenceDetail>(op)) = detail;
    return true;
  }
  if (i.opcode == "nanosleep") {
    decoder.emit_handler(sleep);
    return true;
  }
  if (does_nothing(i.opcode)) {
    if (i.opcode == "createpolicy" && !i.operands.empty()) {
      const Ref zero = decoder.constant(0, 64);
      const Ref d = decoder.destination(i.operands[0], 64);
      Op& op = decoder.emit_handler(nothing);
      op.a = zero;
      op.d = d;
    } else {
      decoder.emit_handler(nothing);
    }
    return true;
  }
  std::string why;
  if (decode_alu(decoder, why)) return true;
  decoder.unsupported(why);
}

}  // namespace gpusim::execute
