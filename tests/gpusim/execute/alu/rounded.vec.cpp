// f32 and f64 arithmetic with .rz, .rm and .rp.
#include "execute/alu/float_ops.hpp"
#include "execute/alu/rounding.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

template <Round R, class F, class T, int Sources>
AluEntry with_sources() {
  if constexpr (Sources == 1) {
    return rounded_entry<R, F, T, T>();
  } else if constexpr (Sources == 2) {
    return rounded_entry<R, F, T, T, T>();
  } else {
    return rounded_entry<R, F, T, T, T, T>();
  }
}

template <Round R, class F, int Sources>
AluEntry typed(const Form& form) {
  switch (form.type[0]) {
    case Type::kF32:
      if (form.ftz) {
        return form.sat ? with_sources<R, Ruled<F, true, true>, float, Sources>()
                        : with_sources<R, Ruled<F, true, false>, float, Sources>();
      }
      return form.sat ? with_sources<R, Ruled<F, false, true>, float, Sources>()
                      : with_sources<R, Ruled<F, false, false>, float, Sources>();
    case Type::kF64:
      if (form.ftz || form.sat) return {};
      return with_sources<R, Ruled<F, false, false>, double, Sources>();
    case Type::kF32x2:
      if (form.sat || Sources == 1) return {};
      return form.ftz ? with_sources<R, PairOfFloats<Ruled<F, true, false>>, u64, Sources>()
                      : with_sources<R, PairOfFloats<Ruled<F, false, false>>, u64, Sources>();
    default:
      return {};
  }
}

template <Round R>
AluEntry find(const Form& form) {
  switch (form.op) {
    case Op::kAdd:
      return typed<R, PlainAdd, 2>(form);
    case Op::kSub:
      return typed<R, PlainSub, 2>(form);
    case Op::kMul:
      return typed<R, PlainMul, 2>(form);
    case Op::kMad:
    case Op::kFma:
      return typed<R, PlainFma, 3>(form);
    case Op::kDiv:
      return form.sat ? AluEntry{} : typed<R, PlainDiv, 2>(form);
    case Op::kRcp:
      return form.sat ? AluEntry{} : typed<R, PlainRcp, 1>(form);
    case Op::kSqrt:
      return form.sat ? AluEntry{} : typed<R, PlainSqrt, 1>(form);
    default:
      return {};
  }
}

}  // namespace

AluEntry find_rounded(const Form& form) {
  switch (form.round) {
    case Round::kRz:
      return with_float_sources(find<Round::kRz>(form));
    case Round::kRm:
      return with_float_sources(find<Round::kRm>(form));
    case Round::kRp:
      return with_float_sources(find<Round::kRp>(form));
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
