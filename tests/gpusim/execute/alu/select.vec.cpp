// selp and slct: one of two registers, by a predicate or by the sign of a third register.
#include "execute/alu/float_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

template <class Word>
void select_by_predicate(const AluOperands& o, std::uint32_t mask) {
  const u32 word = *static_cast<const u32*>(o.c);
  const u32 chosen = o.negate_c ? ~word : word;
  const void *const a = o.a, *const b = o.b;
  for_lanes<Word, true>(o.d, mask, [=](int i) {
    const Word select = lane_select<Word>(chosen, i);
    return static_cast<Word>((take<Word>(a, i) & select) | (take<Word>(b, i) & ~select));
  });
}

template <class Word>
AluEntry predicate_entry() {
  AluEntry e;
  e.function = select_by_predicate<Word>;
  e.d_bits = e.a_bits = e.b_bits = kRowBits<Word>;
  e.c_bits = 1;
  return e;
}

template <bool Ftz>
struct SelectBySign {
  template <class T>
  T operator()(T a, T b, s32 c) const {
    return c >= 0 ? a : b;
  }
  template <class T>
  T operator()(T a, T b, float c) const {
    return start<Ftz>(c) >= 0.0f ? a : b;
  }
};

template <class Word>
AluEntry sign_entry(const Form& form) {
  if (form.type[1] == Type::kS32) return entry<SelectBySign<false>, Word, Word, Word, s32>();
  if (form.type[1] != Type::kF32) return {};
  return form.ftz ? entry<SelectBySign<true>, Word, Word, Word, float>()
                  : entry<SelectBySign<false>, Word, Word, Word, float>();
}

}  // namespace

AluEntry find_select(const Form& form) {
  bool wide = false, is_float = false;
  switch (form.type[0]) {
    case Type::kB16:
    case Type::kU16:
    case Type::kS16:
    case Type::kB32:
    case Type::kU32:
    case Type::kS32:
      break;
    case Type::kF16:
    case Type::kBf16:
    case Type::kF32:
      is_float = true;
      break;
    case Type::kB64:
    case Type::kU64:
    case Type::kS64:
      wide = true;
      break;
    case Type::kF64:
      wide = is_float = true;
      break;
    default:
      return {};
  }
  AluEntry e;
  if (form.op == Op::kSelp) {
    e = wide ? predicate_entry<u64>() : predicate_entry<u32>();
  } else if (form.op == Op::kSlct) {
    e = wide ? sign_entry<u64>(form) : sign_entry<u32>(form);
  }
  e.float_sources = is_float;
  return e;
}

}  // namespace gpusim::GPUSIM_TARGET
