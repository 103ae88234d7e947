// Extended precision: add.cc, addc, sub.cc, subc, mad.cc, madc. The carry of a lane is a bit of the
// warp's carry word; for subtractions it is the borrow.
#include "execute/alu/integer_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

struct Plus {
  /// Sum of two words and a carry; `out` becomes all ones where it overflowed.
  template <class T>
  static T combine(T a, T b, T in, u32& out) {
    const T partial = a + b;
    const T sum = partial + in;
    out = (partial < a) | (sum < partial) ? kAllLanes : 0u;
    return sum;
  }
};
struct Minus {
  template <class T>
  static T combine(T a, T b, T in, u32& out) {
    const T partial = a - b;
    out = (a < b) | (partial < in) ? kAllLanes : 0u;
    return partial - in;
  }
};

template <class F, class T, bool Reads, bool Writes>
void add_carry(const AluOperands& o, std::uint32_t mask) {
  alignas(64) T r[kLanes];
  alignas(64) u32 out[kLanes];
  const u32 in = Reads ? *o.carry : 0u;
  for (int i = 0; i < kLanes; ++i) {
    r[i] = F::combine(take<T>(o.a, i), take<T>(o.b, i), static_cast<T>(in >> i & 1u), out[i]);
  }
  commit(o.d, r, mask);
  if (Writes) commit_predicate(o.carry, lane_bits(out), mask);
}

/// mad{c}.{lo,hi}: T gives the signedness of the product, the sum is unsigned.
template <class T, bool High, bool Reads, bool Writes>
void multiply_add_carry(const AluOperands& o, std::uint32_t mask) {
  using U = Unsigned<T>;
  alignas(64) U r[kLanes];
  alignas(64) u32 out[kLanes];
  const u32 in = Reads ? *o.carry : 0u;
  for (int i = 0; i < kLanes; ++i) {
    const T a = take<T>(o.a, i), b = take<T>(o.b, i);
    const U p = static_cast<U>(High ? MulHi{}(a, b) : MulLo{}(a, b));
    r[i] = Plus::combine(p, take<U>(o.c, i), static_cast<U>(in >> i & 1u), out[i]);
  }
  commit(o.d, r, mask);
  if (Writes) commit_predicate(o.carry, lane_bits(out), mask);
}

AluEntry carry_entry(AluFunction function, int row_bits, bool three, bool reads, bool writes) {
  AluEntry e;
  e.function = function;
  e.d_bits = e.a_bits = e.b_bits = row_bits;
  e.c_bits = three ? row_bits : 0;
  e.reads_carry = reads;
  e.writes_carry = writes;
  return e;
}

template <class F, class T>
AluEntry find_add(bool reads, bool writes) {
  const AluFunction function = !reads   ? add_carry<F, T, false, true>
                               : writes ? add_carry<F, T, true, true>
                                        : add_carry<F, T, true, false>;
  return carry_entry(function, kRowBits<T>, false, reads, writes);
}

template <class T, bool High>
AluEntry find_multiply_half(bool reads, bool writes) {
  const AluFunction function = !reads   ? multiply_add_carry<T, High, false, true>
                               : writes ? multiply_add_carry<T, High, true, true>
                                        : multiply_add_carry<T, High, true, false>;
  return carry_entry(function, kRowBits<T>, true, reads, writes);
}
template <class T>
AluEntry find_multiply(const Form& form, bool reads) {
  if (form.hi == form.lo) return {};
  return form.hi ? find_multiply_half<T, true>(reads, form.cc)
                 : find_multiply_half<T, false>(reads, form.cc);
}

}  // namespace

AluEntry find_carry(const Form& form) {
  const bool reads = form.op == Op::kAddc || form.op == Op::kSubc || form.op == Op::kMadc;
  if (!reads && !form.cc) return {};
  const Type type = form.type[0];
  const bool word = type == Type::kU32 || type == Type::kS32 || type == Type::kB32;
  const bool wide = type == Type::kU64 || type == Type::kS64 || type == Type::kB64;
  if (!word && !wide) return {};
  switch (form.op) {
    case Op::kAdd:
    case Op::kAddc:
      return word ? find_add<Plus, u32>(reads, form.cc) : find_add<Plus, u64>(reads, form.cc);
    case Op::kSub:
    case Op::kSubc:
      return word ? find_add<Minus, u32>(reads, form.cc) : find_add<Minus, u64>(reads, form.cc);
    case Op::kMad:
    case Op::kMadc:
      if (type == Type::kU32) return find_multiply<u32>(form, reads);
      if (type == Type::kS32) return find_multiply<s32>(form, reads);
      if (type == Type::kU64) return find_multiply<u64>(form, reads);
      return find_multiply<s64>(form, reads);
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
