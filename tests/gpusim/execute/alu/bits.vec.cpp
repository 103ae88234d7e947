// Logic, shifts, bit fields, byte permutation and predicate logic. Shift amounts clamp at the width
// (x86 would mask them), as PTX says.
#include "execute/alu/integer_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

struct And {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
struct Not {
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(~a);
  }
};
struct Cnot {
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(a == 0 ? 1 : 0);
  }
};

template <class T>
[[gnu::always_inline]] inline T shift_left(T a, u32 n) {
  const u32 safe = n & (kBits<T> - 1);
  return n >= static_cast<u32>(kBits<T>) ? T{0} : static_cast<T>(calc(a) << safe);
}
template <class T>
[[gnu::always_inline]] inline T shift_right(T a, u32 n) {
  const u32 last = kBits<T> - 1;
  if constexpr (kSigned<T>) {
    return static_cast<T>(a >> (n > last ? last : n));
  } else {
    return n > last ? T{0} : static_cast<T>(a >> (n & last));
  }
}
struct Shl {
  template <class T>
  T operator()(T a, u32 n) const {
    return shift_left(a, n);
  }
};
struct Shr {
  template <class T>
  T operator()(T a, u32 n) const {
    return shift_right(a, n);
  }
};

/// shf: the 64-bit value b:a shifted; the amount wraps at 32 or clamps to it.
template <bool Left, bool Wrap>
struct FunnelShift {
  u32 operator()(u32 a, u32 b, u32 c) const {
    const u32 n = Wrap ? (c & 31u) : (c > 32u ? 32u : c);
    const u64 pair = u64{b} << 32 | a;
    return Left ? static_cast<u32>(pair << n >> 32) : static_cast<u32>(pair >> n);
  }
};

struct BitExtract {
  template <class T>
  T operator()(T a, u32 position, u32 length) const {
    using U = Unsigned<T>;
    const u32 p = position & 0xffu, n = length & 0xffu;
    const U field = n == 0 ? U{0}
                           : static_cast<U>(shift_right(static_cast<U>(a), p) &
                                            static_cast<U>(~shift_left(static_cast<U>(~U{0}), n)));
    if constexpr (!kSigned<T>) return field;
    // The sign is the field's top bit, or that of `a` where the field reaches beyond it.
    const u32 last = kBits<T> - 1;
    const u32 top = p + n - 1 > last ? last : p + n - 1;
    const bool negative = n != 0 && (shift_right(static_cast<U>(a), top) & 1u) != 0;
    // Bits of the result that the field does not fill: from `n` on, or from where `a` ended.
    const u32 filled = p > last ? 0u : (n < kBits<T> - p ? n : kBits<T> - p);
    return static_cast<T>(field | (negative ? shift_left(static_cast<U>(~U{0}), filled) : U{0}));
  }
};
struct BitInsert {
  template <class T>
  T operator()(T a, T b, u32 position, u32 length) const {
    const u32 p = position & 0xffu, n = length & 0xffu;
    const T field = static_cast<T>(~shift_left(static_cast<T>(~T{0}), n));
    const T select = shift_left(field, p);
    return static_cast<T>((shift_left(a, p) & select) | (b & ~select));
  }
};

[[gnu::always_inline]] inline u32 count_ones(u32 v) {
  v = v - (v >> 1 & 0x55555555u);
  v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);
  v = (v + (v >> 4)) & 0x0f0f0f0fu;
  return v * 0x01010101u >> 24;
}
/// All bits below the highest set one become set.
template <class T>
[[gnu::always_inline]] inline T smear(T v) {
  v |= v >> 1;
  v |= v >> 2;
  v |= v >> 4;
  v |= v >> 8;
  v |= v >> 16;
  if constexpr (sizeof(T) == 8) v |= v >> 32;
  return v;
}
template <class T>
[[gnu::always_inline]] inline u32 ones(T v) {
  if constexpr (sizeof(T) == 8) {
    return count_ones(static_cast<u32>(v)) + count_ones(static_cast<u32>(v >> 32));
  } else {
    return count_ones(v);
  }
}
struct Popc {
  template <class T>
  u32 operator()(T a) const {
    return ones(a);
  }
};
struct Clz {
  template <class T>
  u32 operator()(T a) const {
    return kBits<T> - ones(smear(a));
  }
};
template <bool ShiftAmount>
struct Bfind {
  template <class T>
  u32 operator()(T a) const {
    using U = Unsigned<T>;
    const U v = static_cast<U>(kSigned<T> && a < 0 ? ~a : a);
    const u32 significant = ones(smear(v));
    if (significant == 0) return ~0u;
    return ShiftAmount ? kBits<T> - significant : significant - 1;
  }
};
struct Brev {
  template <class T>
  T operator()(T v) const {
    const auto swap = [&](int n, T keep) { v = static_cast<T>((v >> n & keep) | (v & keep) << n); };
    swap(1, static_cast<T>(0x5555555555555555ull));
    swap(2, static_cast<T>(0x3333333333333333ull));
    swap(4, static_cast<T>(0x0f0f0f0f0f0f0f0full));
    swap(8, static_cast<T>(0x00ff00ff00ff00ffull));
    if constexpr (sizeof(T) == 8) swap(16, static_cast<T>(0x0000ffff0000ffffull));
    constexpr int kHalf = kBits<T> / 2;
    return static_cast<T>(v >> kHalf | v << kHalf);
  }
};

template <bool Wrap>
struct BitMask {
  u32 operator()(u32 position, u32 width) const {
    const u32 p = Wrap ? position & 31u : position;
    const u32 n = Wrap ? width & 31u : width;
    return shift_left(static_cast<u32>(~shift_left(~0u, n)), p);
  }
};
template <bool Wrap>
struct Szext {
  template <class T>
  T operator()(T a, u32 position) const {
    const u32 n = Wrap ? position & 31u : (position > 32u ? 32u : position);
    if (n == 0) return 0;
    const u32 unused = 32u - n;
    return shift_right(static_cast<T>(static_cast<u32>(a) << unused), unused);
  }
};

/// fns: the position of the offset-th set bit from `base` on, upwards or (negative) downwards.
struct FindNthSet {
  u32 operator()(u32 value, u32 base, s32 offset) const {
    const u32 start = base & 31u;
    if (offset == 0) return value >> start & 1u ? start : ~0u;
    s32 left = offset;
    if (offset > 0) {
      for (u32 i = start; i < 32; ++i) {
        if ((value >> i & 1u) != 0 && --left == 0) return i;
      }
    } else {
      for (s32 i = static_cast<s32>(start); i >= 0; --i) {
        if ((value >> i & 1u) != 0 && ++left == 0) return static_cast<u32>(i);
      }
    }
    return ~0u;
  }
};

/// Byte `selector` (0 to 7) of the pair b:a; bit 3 of the selector spreads its sign instead.
[[gnu::always_inline]] inline u32 select_byte(u64 pair, u32 selector) {
  const u32 byte = static_cast<u32>(pair >> ((selector & 7u) * 8)) & 0xffu;
  const u32 sign = (0u - (byte >> 7)) & 0xffu;
  return (selector & 8u) != 0 ? sign : byte;
}
template <Mode M>
struct Prmt {
  u32 operator()(u32 a, u32 b, u32 c) const {
    const u64 pair = u64{b} << 32 | a;
    const u32 n = c & 3u;
    u32 result = 0;
    for (u32 i = 0; i < 4; ++i) {
      u32 selector = 0;
      switch (M) {
        case Mode::kF4e:
          selector = n + i;
          break;
        case Mode::kB4e:
          selector = (n - i) & 7u;
          break;
        case Mode::kRc8:
          selector = n;
          break;
        case Mode::kEcl:
          selector = i > n ? i : n;
          break;
        case Mode::kEcr:
          selector = i < n ? i : n;
          break;
        case Mode::kRc16:
          selector = (n & 1u) * 2 + (i & 1u);
          break;
        default:
          selector = c >> (4 * i) & 15u;
          break;
      }
      result |= select_byte(pair, selector) << (8 * i);
    }
    return result;
  }
};

/// lop3 from its table: the selected rows of the truth table, as nested selections that GCC turns
/// into ternary logic where the machine has it.
void lop3(const AluOperands& o, std::uint32_t mask) {
  u32 t[8];
  for (int k = 0; k < 8; ++k) t[k] = 0u - (o.immediate >> k & 1u);
  const void *const x = o.a, *const y = o.b, *const z = o.c;
  for_lanes<u32, true>(o.d, mask, [=](int i) {
    const u32 a = take<u32>(x, i), b = take<u32>(y, i), c = take<u32>(z, i);
    const u32 low = (b & ((c & t[3]) | (~c & t[2]))) | (~b & ((c & t[1]) | (~c & t[0])));
    const u32 high = (b & ((c & t[7]) | (~c & t[6]))) | (~b & ((c & t[5]) | (~c & t[4])));
    return (a & high) | (~a & low);
  });
}
struct XorOfThree {
  u32 operator()(u32 a, u32 b, u32 c) const { return a ^ b ^ c; }
};

[[gnu::always_inline]] inline u32 predicate(const void* word, bool negate) {
  const u32 value = *static_cast<const u32*>(word);
  return negate ? ~value : value;
}
template <class F>
void predicate_binary(const AluOperands& o, std::uint32_t mask) {
  commit_predicate(o.d, F{}(predicate(o.a, o.negate_a), predicate(o.b, o.negate_b)), mask);
}
void predicate_not(const AluOperands& o, std::uint32_t mask) {
  commit_predicate(o.d, ~predicate(o.a, o.negate_a), mask);
}
void predicate_move(const AluOperands& o, std::uint32_t mask) {
  commit_predicate(o.d, predicate(o.a, o.negate_a), mask);
}

AluEntry predicate_entry(AluFunction function, bool two_sources) {
  AluEntry e;
  e.function = function;
  e.d_bits = e.a_bits = 1;
  e.b_bits = two_sources ? 1 : 0;
  return e;
}

int bit_width(Type type) {
  switch (type) {
    case Type::kPred:
      return 1;
    case Type::kB16:
    case Type::kU16:
    case Type::kS16:
    case Type::kF16:
    case Type::kBf16:
      return 16;
    case Type::kB32:
    case Type::kU32:
    case Type::kS32:
    case Type::kF32:
    case Type::kF16x2:
    case Type::kBf16x2:
      return 32;
    case Type::kB64:
    case Type::kU64:
    case Type::kS64:
    case Type::kF64:
    case Type::kF32x2:
      return 64;
    default:
      return 0;
  }
}

template <class F>
AluEntry logic(Type type) {
  switch (bit_width(type)) {
    case 1:
      return predicate_entry(predicate_binary<F>, true);
    case 16:
    case 32:
      return entry<F, u32, u32, u32>();
    case 64:
      return entry<F, u64, u64, u64>();
    default:
      return {};
  }
}

struct Copy {
  template <class T>
  T operator()(T a) const {
    return a;
  }
};

AluEntry move(Type type) {
  switch (bit_width(type)) {
    case 1:
      return predicate_entry(predicate_move, false);
    case 16:
    case 32:
      return entry<Copy, u32, u32>();
    case 64:
      return entry<Copy, u64, u64>();
    default:
      return {};
  }
}

AluEntry shift(const Form& form) {
  const bool left = form.op == Op::kShl;
  switch (form.type[0]) {
    case Type::kB16:
    case Type::kU16:
      return left ? entry<Shl, u16, u16, u32>() : entry<Shr, u16, u16, u32>();
    case Type::kB32:
    case Type::kU32:
      return left ? entry<Shl, u32, u32, u32>() : entry<Shr, u32, u32, u32>();
    case Type::kB64:
    case Type::kU64:
      return left ? entry<Shl, u64, u64, u32>() : entry<Shr, u64, u64, u32>();
    case Type::kS16:
      return left ? AluEntry{} : entry<Shr, s16, s16, u32>();
    case Type::kS32:
      return left ? AluEntry{} : entry<Shr, s32, s32, u32>();
    case Type::kS64:
      return left ? AluEntry{} : entry<Shr, s64, s64, u32>();
    default:
      return {};
  }
}

template <class F>
AluEntry count(Type type) {
  if (type == Type::kB32) return entry<F, u32, u32>();
  if (type == Type::kB64) return entry<F, u32, u64>();
  return {};
}

AluEntry bit_field(const Form& form) {
  switch (form.type[0]) {
    case Type::kU32:
      return entry<BitExtract, u32, u32, u32, u32>();
    case Type::kS32:
      return entry<BitExtract, s32, s32, u32, u32>();
    case Type::kU64:
      return entry<BitExtract, u64, u64, u32, u32>();
    case Type::kS64:
      return entry<BitExtract, s64, s64, u32, u32>();
    default:
      return {};
  }
}

template <bool ShiftAmount>
AluEntry find_leading(Type type) {
  switch (type) {
    case Type::kU32:
      return entry<Bfind<ShiftAmount>, u32, u32>();
    case Type::kS32:
      return entry<Bfind<ShiftAmount>, u32, s32>();
    case Type::kU64:
      return entry<Bfind<ShiftAmount>, u32, u64>();
    case Type::kS64:
      return entry<Bfind<ShiftAmount>, u32, s64>();
    default:
      return {};
  }
}

AluEntry permute(const Form& form) {
  if (form.type[0] != Type::kB32) return {};
  switch (form.mode) {
    case Mode::kNone:
      return entry<Prmt<Mode::kNone>, u32, u32, u32, u32>();
    case Mode::kF4e:
      return entry<Prmt<Mode::kF4e>, u32, u32, u32, u32>();
    case Mode::kB4e:
      return entry<Prmt<Mode::kB4e>, u32, u32, u32, u32>();
    case Mode::kRc8:
      return entry<Prmt<Mode::kRc8>, u32, u32, u32, u32>();
    case Mode::kEcl:
      return entry<Prmt<Mode::kEcl>, u32, u32, u32, u32>();
    case Mode::kEcr:
      return entry<Prmt<Mode::kEcr>, u32, u32, u32, u32>();
    case Mode::kRc16:
      return entry<Prmt<Mode::kRc16>, u32, u32, u32, u32>();
    default:
      return {};
  }
}

AluEntry funnel_shift(const Form& form) {
  if (form.type[0] != Type::kB32 || form.left == form.right || form.wrap == form.clamp) return {};
  if (form.left) {
    return form.wrap ? entry<FunnelShift<true, true>, u32, u32, u32, u32>()
                     : entry<FunnelShift<true, false>, u32, u32, u32, u32>();
  }
  return form.wrap ? entry<FunnelShift<false, true>, u32, u32, u32, u32>()
                   : entry<FunnelShift<false, false>, u32, u32, u32, u32>();
}

AluEntry extend(const Form& form) {
  if (form.wrap == form.clamp) return {};
  if (form.type[0] == Type::kU32) {
    return form.wrap ? entry<Szext<true>, u32, u32, u32>() : entry<Szext<false>, u32, u32, u32>();
  }
  if (form.type[0] == Type::kS32) {
    return form.wrap ? entry<Szext<true>, s32, s32, u32>() : entry<Szext<false>, s32, s32, u32>();
  }
  return {};
}

AluEntry table_logic(const Form& form) {
  if (form.type[0] != Type::kB32 || form.combine != Combine::kNone) return {};
  AluEntry e = entry<XorOfThree, u32, u32, u32, u32>();
  e.function = lop3;
  return e;
}

}  // namespace

AluEntry find_bits(const Form& form) {
  const Type type = form.type[0];
  switch (form.op) {
    case Op::kAnd:
      return logic<And>(type);
    case Op::kOr:
      return logic<Or>(type);
    case Op::kXor:
      return logic<Xor>(type);
    case Op::kNot:
      if (type == Type::kPred) return predicate_entry(predicate_not, false);
      return bit_width(type) == 64 ? entry<Not, u64, u64>() : entry<Not, u32, u32>();
    case Op::kCnot:
      if (bit_width(type) == 16) return entry<Cnot, u16, u16>();
      return bit_width(type) == 64 ? entry<Cnot, u64, u64>() : entry<Cnot, u32, u32>();
    case Op::kMov:
      return move(type);
    case Op::kShl:
    case Op::kShr:
      return shift(form);
    case Op::kShf:
      return funnel_shift(form);
    case Op::kLop3:
      return table_logic(form);
    case Op::kBfe:
      return bit_field(form);
    case Op::kBfi:
      if (type == Type::kB32) return entry<BitInsert, u32, u32, u32, u32, u32>();
      return type == Type::kB64 ? entry<BitInsert, u64, u64, u64, u32, u32>() : AluEntry{};
    case Op::kBfind:
      return form.shiftamt ? find_leading<true>(type) : find_leading<false>(type);
    case Op::kBrev:
      if (type == Type::kB32) return entry<Brev, u32, u32>();
      return type == Type::kB64 ? entry<Brev, u64, u64>() : AluEntry{};
    case Op::kClz:
      return count<Clz>(type);
    case Op::kPopc:
      return count<Popc>(type);
    case Op::kBmsk:
      if (type != Type::kB32 || form.wrap == form.clamp) return {};
      return form.wrap ? entry<BitMask<true>, u32, u32, u32>()
                       : entry<BitMask<false>, u32, u32, u32>();
    case Op::kSzext:
      return extend(form);
    case Op::kPrmt:
      return permute(form);
    case Op::kFns:
      return type == Type::kB32 ? entry<FindNthSet, u32, u32, u32, s32>() : AluEntry{};
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
