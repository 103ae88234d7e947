// Integer arithmetic: the operations of integer_ops.hpp over rows, and their lookup by type.
#include "execute/alu/integer_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

template <class F>
AluEntry unary(Type type) {
  switch (type) {
    case Type::kS16:
      return entry<F, s16, s16>();
    case Type::kS32:
      return entry<F, s32, s32>();
    case Type::kS64:
      return entry<F, s64, s64>();
    default:
      return {};
  }
}

template <class F>
AluEntry binary(Type type) {
  switch (type) {
    case Type::kU16:
      return entry<F, u16, u16, u16>();
    case Type::kS16:
      return entry<F, s16, s16, s16>();
    case Type::kU32:
      return entry<F, u32, u32, u32>();
    case Type::kS32:
      return entry<F, s32, s32, s32>();
    case Type::kU64:
      return entry<F, u64, u64, u64>();
    case Type::kS64:
      return entry<F, s64, s64, s64>();
    default:
      return {};
  }
}

/// Operations that do not depend on the sign: half the code.
template <class F>
AluEntry sign_free(Type type) {
  switch (type) {
    case Type::kU16:
    case Type::kS16:
      return entry<F, u16, u16, u16>();
    case Type::kU32:
    case Type::kS32:
      return entry<F, u32, u32, u32>();
    case Type::kU64:
    case Type::kS64:
      return entry<F, u64, u64, u64>();
    case Type::kU16x2:
    case Type::kS16x2:
      return entry<Pairwise<F, u16>, u32, u32, u32>();
    default:
      return {};
  }
}

template <class F>
AluEntry ternary(Type type) {
  switch (type) {
    case Type::kU16:
      return entry<F, u16, u16, u16, u16>();
    case Type::kS16:
      return entry<F, s16, s16, s16, s16>();
    case Type::kU32:
      return entry<F, u32, u32, u32, u32>();
    case Type::kS32:
      return entry<F, s32, s32, s32, s32>();
    case Type::kU64:
      return entry<F, u64, u64, u64, u64>();
    case Type::kS64:
      return entry<F, s64, s64, s64, s64>();
    default:
      return {};
  }
}

AluEntry multiply_wide(Type type) {
  switch (type) {
    case Type::kU16:
      return entry<MulWide, u32, u16, u16>();
    case Type::kS16:
      return entry<MulWide, s32, s16, s16>();
    case Type::kU32:
      return entry<MulWide, u64, u32, u32>();
    case Type::kS32:
      return entry<MulWide, s64, s32, s32>();
    default:
      return {};
  }
}

AluEntry multiply_add_wide(Type type) {
  switch (type) {
    case Type::kU16:
      return entry<MadWide, u32, u16, u16, u32>();
    case Type::kS16:
      return entry<MadWide, s32, s16, s16, s32>();
    case Type::kU32:
      return entry<MadWide, u64, u32, u32, u64>();
    case Type::kS32:
      return entry<MadWide, s64, s32, s32, s64>();
    default:
      return {};
  }
}

template <class F>
AluEntry minimum(const Form& form) {
  const Type type = form.type[0];
  if (form.relu) {
    if (type == Type::kS32) return entry<ReluAfter<F>, s32, s32, s32>();
    if (type == Type::kS16x2) return entry<Pairwise<ReluAfter<F>, s16>, u32, u32, u32>();
    return {};
  }
  if (type == Type::kU16x2) return entry<Pairwise<F, u16>, u32, u32, u32>();
  if (type == Type::kS16x2) return entry<Pairwise<F, s16>, u32, u32, u32>();
  return binary<F>(type);
}

AluEntry multiply24(const Form& form) {
  if (form.type[0] == Type::kU32) {
    return form.hi ? entry<Mul24Hi, u32, u32, u32>() : entry<Mul24Lo, u32, u32, u32>();
  }
  if (form.type[0] == Type::kS32) {
    return form.hi ? entry<Mul24Hi, s32, s32, s32>() : entry<Mul24Lo, s32, s32, s32>();
  }
  return {};
}

AluEntry multiply_add24(const Form& form) {
  if (form.type[0] == Type::kU32 && !form.sat) {
    return form.hi ? entry<Mad24Hi, u32, u32, u32, u32>() : entry<Mad24Lo, u32, u32, u32, u32>();
  }
  if (form.type[0] == Type::kS32) {
    if (form.sat) return form.hi ? entry<Mad24HiSat, s32, s32, s32, s32>() : AluEntry{};
    return form.hi ? entry<Mad24Hi, s32, s32, s32, s32>() : entry<Mad24Lo, s32, s32, s32, s32>();
  }
  return {};
}

AluEntry dot_product(const Form& form) {
  const bool sa = form.type[0] == Type::kS32, sb = form.type[1] == Type::kS32;
  if ((!sa && form.type[0] != Type::kU32) || (!sb && form.type[1] != Type::kU32)) return {};
  if (form.op == Op::kDp4a) {
    if (sa) {
      return sb ? entry<Dp4a<s8, s8>, u32, u32, u32, u32>()
                : entry<Dp4a<s8, u8>, u32, u32, u32, u32>();
    }
    return sb ? entry<Dp4a<u8, s8>, u32, u32, u32, u32>()
              : entry<Dp4a<u8, u8>, u32, u32, u32, u32>();
  }
  if (form.hi == form.lo) return {};
  if (form.hi) {
    if (sa) {
      return sb ? entry<Dp2a<s16, s8, 16>, u32, u32, u32, u32>()
                : entry<Dp2a<s16, u8, 16>, u32, u32, u32, u32>();
    }
    return sb ? entry<Dp2a<u16, s8, 16>, u32, u32, u32, u32>()
              : entry<Dp2a<u16, u8, 16>, u32, u32, u32, u32>();
  }
  if (sa) {
    return sb ? entry<Dp2a<s16, s8, 0>, u32, u32, u32, u32>()
              : entry<Dp2a<s16, u8, 0>, u32, u32, u32, u32>();
  }
  return sb ? entry<Dp2a<u16, s8, 0>, u32, u32, u32, u32>()
            : entry<Dp2a<u16, u8, 0>, u32, u32, u32, u32>();
}

}  // namespace

AluEntry find_integer(const Form& form) {
  const Type type = form.type[0];
  if (form.cc) return {};
  switch (form.op) {
    case Op::kAdd:
      if (form.sat) return type == Type::kS32 ? entry<AddSat, s32, s32, s32>() : AluEntry{};
      return sign_free<Add>(type);
    case Op::kSub:
      if (form.sat) return type == Type::kS32 ? entry<SubSat, s32, s32, s32>() : AluEntry{};
      return sign_free<Sub>(type);
    case Op::kMul:
      if (form.wide) return multiply_wide(type);
      if (form.hi) return binary<MulHi>(type);
      return form.lo ? binary<MulLo>(type) : AluEntry{};
    case Op::kMad:
      if (form.wide) return multiply_add_wide(type);
      if (form.hi && form.sat) {
        return type == Type::kS32 ? entry<MadHiSat, s32, s32, s32, s32>() : AluEntry{};
      }
      if (form.hi) return ternary<MadHi>(type);
      return form.lo ? ternary<MadLo>(type) : AluEntry{};
    case Op::kMul24:
      return multiply24(form);
    case Op::kMad24:
      return multiply_add24(form);
    case Op::kSad:
      return ternary<Sad>(type);
    case Op::kDiv:
      return binary<Div>(type);
    case Op::kRem:
      return binary<Rem>(type);
    case Op::kAbs:
      return unary<Abs>(type);
    case Op::kNeg:
      return unary<Neg>(type);
    case Op::kMin:
      return minimum<Min>(form);
    case Op::kMax:
      return minimum<Max>(form);
    case Op::kDp4a:
    case Op::kDp2a:
      return dot_product(form);
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
