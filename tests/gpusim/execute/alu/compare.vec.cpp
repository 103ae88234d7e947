// set and setp: a word with one bit per lane from each comparison, combined with a third predicate
// where the instruction has one.
#include "execute/alu/small_floats.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

/// How a source is read: the value that is compared.
template <class T>
struct Whole {
  static constexpr int kSourceBits = kRowBits<T>;
  static constexpr bool kFloat = false, kRare = false;
  static T get(const void* row, int i) { return take<T>(row, i); }
};
template <class T, bool Ftz>
struct Real {
  static constexpr int kSourceBits = kRowBits<T>;
  static constexpr bool kFloat = true, kRare = false;
  static T get(const void* row, int i) { return start<Ftz>(take<T>(row, i)); }
};
template <class S, int Shift, bool Ftz>
struct Half {
  static constexpr int kSourceBits = 32;
  static constexpr bool kFloat = true, kRare = true;
  static float get(const void* row, int i) {
    const u32 code = take<u32>(row, i) >> Shift;
    const float value = widen<S>(code);
    return Ftz && magnitude(value) < 0x1p-14f ? with_sign(0.0f, bits<u32>(value)) : value;
  }
};

template <class T>
[[gnu::always_inline]] inline bool unordered(T a, T b) {
  return is_nan(a) | is_nan(b);
}

template <Compare C, bool Float, class T>
[[gnu::always_inline]] inline bool holds(T a, T b) {
  if constexpr (Float) {
    switch (C) {
      case Compare::kEq:
        return a == b;
      case Compare::kNe:
        return (a != b) & !unordered(a, b);
      case Compare::kLt:
        return a < b;
      case Compare::kLe:
        return a <= b;
      case Compare::kGt:
        return a > b;
      case Compare::kGe:
        return a >= b;
      case Compare::kEqu:
        return (a == b) | unordered(a, b);
      case Compare::kNeu:
        return a != b;
      case Compare::kLtu:
        return (a < b) | unordered(a, b);
      case Compare::kLeu:
        return (a <= b) | unordered(a, b);
      case Compare::kGtu:
        return (a > b) | unordered(a, b);
      case Compare::kGeu:
        return (a >= b) | unordered(a, b);
      case Compare::kNum:
        return !unordered(a, b);
      default:
        return unordered(a, b);
    }
  } else {
    switch (C) {
      case Compare::kEq:
        return a == b;
      case Compare::kNe:
        return a != b;
      case Compare::kLt:
        return a < b;
      case Compare::kLe:
        return a <= b;
      case Compare::kGt:
        return a > b;
      default:
        return a >= b;
    }
  }
}

template <class L, Compare C>
[[gnu::always_inline]] inline u32 compare_inline(const AluOperands& o) {
  alignas(64) u32 flags[kLanes];
  const void *const a = o.a, *const b = o.b;
  for (int i = 0; i < kLanes; ++i) {
    flags[i] = holds<C, L::kFloat>(L::get(a, i), L::get(b, i)) ? kAllLanes : 0u;
  }
  return lane_bits(flags);
}
/// One copy for all the rarer forms.
template <class L, Compare C>
[[gnu::noinline, gnu::flatten]] u32 compare_bits(const AluOperands& o) {
  return compare_inline<L, C>(o);
}

template <Combine B>
[[gnu::always_inline]] inline u32 combined(u32 result, const AluOperands& o) {
  if constexpr (B == Combine::kNone) return result;
  const u32 word = *static_cast<const u32*>(o.c);
  const u32 other = o.negate_c ? ~word : word;
  if constexpr (B == Combine::kAnd) return result & other;
  if constexpr (B == Combine::kOr) return result | other;
  return result ^ other;
}

template <class L, Compare C, Combine B>
void set_predicates(const AluOperands& o, std::uint32_t mask) {
  const u32 result =
      B == Combine::kNone && !L::kRare ? compare_inline<L, C>(o) : compare_bits<L, C>(o);
  // Both words from the old value of c, which may be one of the destinations.
  const u32 yes = combined<B>(result, o), no = combined<B>(~result, o);
  if (o.d != nullptr) commit_predicate(o.d, yes, mask);
  if (o.d2 != nullptr) commit_predicate(o.d2, no, mask);
}

/// setp on pairs of halves: p is the result of the low, q of the high one.
template <class Low, class High, Compare C, Combine B>
void set_pair(const AluOperands& o, std::uint32_t mask) {
  const u32 low = combined<B>(compare_bits<Low, C>(o), o);
  const u32 high = combined<B>(compare_bits<High, C>(o), o);
  if (o.d != nullptr) commit_predicate(o.d, low, mask);
  if (o.d2 != nullptr) commit_predicate(o.d2, high, mask);
}

/// What set stores; apart from the comparisons, so that there is one copy of it.
[[gnu::noinline]] void store_where(const AluOperands& o, std::uint32_t mask, u32 low, u32 high,
                                   u32 value) {
  for_lanes<u32, true>(o.d, mask, [=](int i) {
    return (lane_select<u32>(low, i) & value) | (lane_select<u32>(high, i) & value << 16);
  });
}
template <class L, Compare C, Combine B, u32 Value>
void set_value(const AluOperands& o, std::uint32_t mask) {
  store_where(o, mask, combined<B>(compare_bits<L, C>(o), o), 0, Value);
}
template <class Low, class High, Compare C, Combine B, u32 Value>
void set_value_pair(const AluOperands& o, std::uint32_t mask) {
  store_where(o, mask, combined<B>(compare_bits<Low, C>(o), o),
              combined<B>(compare_bits<High, C>(o), o), Value);
}

template <class L, Compare C>
AluFunction predicate_function(Combine combine) {
  switch (combine) {
    case Combine::kAnd:
      return set_predicates<L, C, Combine::kAnd>;
    case Combine::kOr:
      return set_predicates<L, C, Combine::kOr>;
    case Combine::kXor:
      return set_predicates<L, C, Combine::kXor>;
    default:
      return set_predicates<L, C, Combine::kNone>;
  }
}
template <class Low, class High, Compare C>
AluFunction pair_function(Combine combine) {
  switch (combine) {
    case Combine::kAnd:
      return set_pair<Low, High, C, Combine::kAnd>;
    case Combine::kOr:
      return set_pair<Low, High, C, Combine::kOr>;
    case Combine::kXor:
      return set_pair<Low, High, C, Combine::kXor>;
    default:
      return set_pair<Low, High, C, Combine::kNone>;
  }
}
template <class L, Compare C, u32 Value>
AluFunction value_function(Combine combine) {
  switch (combine) {
    case Combine::kAnd:
      return set_value<L, C, Combine::kAnd, Value>;
    case Combine::kOr:
      return set_value<L, C, Combine::kOr, Value>;
    case Combine::kXor:
      return set_value<L, C, Combine::kXor, Value>;
    default:
      return set_value<L, C, Combine::kNone, Value>;
  }
}
template <class Low, class High, Compare C, u32 Value>
AluFunction value_pair_function(Combine combine) {
  switch (combine) {
    case Combine::kAnd:
      return set_value_pair<Low, High, C, Combine::kAnd, Value>;
    case Combine::kOr:
      return set_value_pair<Low, High, C, Combine::kOr, Value>;
    case Combine::kXor:
      return set_value_pair<Low, High, C, Combine::kXor, Value>;
    default:
      return set_value_pair<Low, High, C, Combine::kNone, Value>;
  }
}

AluEntry finished(AluFunction function, const Form& form, int source_bits, bool is_float) {
  AluEntry e;
  e.function = function;
  e.d_bits = form.op == Op::kSetp ? 1 : 32;
  e.d2_bits = form.op == Op::kSetp ? 1 : 0;
  e.a_bits = e.b_bits = source_bits;
  e.c_bits = form.combine == Combine::kNone ? 0 : 1;
  e.float_sources = is_float;
  return e;
}

/// The value that stands for true in a destination of set; 0 where there is none.
u32 true_value(Type d) {
  switch (d) {
    case Type::kU32:
    case Type::kS32:
      return 0xffffffffu;
    case Type::kF32:
      return 0x3f800000u;
    case Type::kU16:
    case Type::kS16:
      return 0xffffu;
    case Type::kF16:
    case Type::kF16x2:
      return 0x3c00u;
    case Type::kBf16:
    case Type::kBf16x2:
      return 0x3f80u;
    default:
      return 0;
  }
}

template <class L, Compare C>
AluEntry one(const Form& form) {
  AluFunction function = nullptr;
  if (form.op == Op::kSetp) {
    function = predicate_function<L, C>(form.combine);
  } else {
    switch (true_value(form.type[0])) {
      case 0xffffffffu:
        function = value_function<L, C, 0xffffffffu>(form.combine);
        break;
      case 0x3f800000u:
        function = value_function<L, C, 0x3f800000u>(form.combine);
        break;
      default:
        break;
    }
  }
  return finished(function, form, L::kSourceBits, L::kFloat);
}
template <class L, Compare C>
AluEntry one_half(const Form& form) {
  if (form.op == Op::kSetp) return one<L, C>(form);
  AluFunction function = nullptr;
  switch (true_value(form.type[0])) {
    case 0xffffu:
      function = value_function<L, C, 0xffffu>(form.combine);
      break;
    case 0x3c00u:
      function = value_function<L, C, 0x3c00u>(form.combine);
      break;
    case 0x3f80u:
      function = value_function<L, C, 0x3f80u>(form.combine);
      break;
    default:
      return one<L, C>(form);
  }
  return finished(function, form, 32, true);
}
template <class Low, class High, Compare C>
AluEntry one_pair(const Form& form) {
  AluFunction function = nullptr;
  if (form.op == Op::kSetp) {
    function = pair_function<Low, High, C>(form.combine);
  } else {
    switch (true_value(form.type[0])) {
      case 0xffffffffu:
        function = value_pair_function<Low, High, C, 0xffffu>(form.combine);
        break;
      case 0x3c00u:
        function = value_pair_function<Low, High, C, 0x3c00u>(form.combine);
        break;
      case 0x3f80u:
        function = value_pair_function<Low, High, C, 0x3f80u>(form.combine);
        break;
      default:
        break;
    }
  }
  return finished(function, form, 32, true);
}

/// Calls pick.template operator()<C>() with the comparison as a template parameter.
template <class F>
AluEntry by_float_comparison(Compare c, F pick) {
  switch (c) {
    case Compare::kEq:
      return pick.template operator()<Compare::kEq>();
    case Compare::kNe:
      return pick.template operator()<Compare::kNe>();
    case Compare::kLt:
      return pick.template operator()<Compare::kLt>();
    case Compare::kLe:
      return pick.template operator()<Compare::kLe>();
    case Compare::kGt:
      return pick.template operator()<Compare::kGt>();
    case Compare::kGe:
      return pick.template operator()<Compare::kGe>();
    case Compare::kEqu:
      return pick.template operator()<Compare::kEqu>();
    case Compare::kNeu:
      return pick.template operator()<Compare::kNeu>();
    case Compare::kLtu:
      return pick.template operator()<Compare::kLtu>();
    case Compare::kLeu:
      return pick.template operator()<Compare::kLeu>();
    case Compare::kGtu:
      return pick.template operator()<Compare::kGtu>();
    case Compare::kGeu:
      return pick.template operator()<Compare::kGeu>();
    case Compare::kNum:
      return pick.template operator()<Compare::kNum>();
    case Compare::kNan:
      return pick.template operator()<Compare::kNan>();
    default:
      return {};
  }
}

template <class L>
AluEntry integers(const Form& form) {
  switch (form.compare) {
    case Compare::kEq:
      return one<L, Compare::kEq>(form);
    case Compare::kNe:
      return one<L, Compare::kNe>(form);
    case Compare::kLt:
    case Compare::kLo:
      return one<L, Compare::kLt>(form);
    case Compare::kLe:
    case Compare::kLs:
      return one<L, Compare::kLe>(form);
    case Compare::kGt:
    case Compare::kHi:
      return one<L, Compare::kGt>(form);
    case Compare::kGe:
    case Compare::kHs:
      return one<L, Compare::kGe>(form);
    default:
      return {};
  }
}
template <class L>
AluEntry raw_bits(const Form& form) {
  if (form.compare == Compare::kEq) return one<L, Compare::kEq>(form);
  return form.compare == Compare::kNe ? one<L, Compare::kNe>(form) : AluEntry{};
}
template <class L>
AluEntry reals(const Form& form) {
  return by_float_comparison(form.compare, [&]<Compare C>() { return one<L, C>(form); });
}
template <class S, bool Ftz>
AluEntry halves(const Form& form, bool pair) {
  using Low = Half<S, 0, Ftz>;
  using High = Half<S, 16, Ftz>;
  return by_float_comparison(form.compare, [&]<Compare C>() {
    return pair ? one_pair<Low, High, C>(form) : one_half<Low, C>(form);
  });
}

}  // namespace

AluEntry find_compare(const Form& form) {
  if (form.op != Op::kSet && form.op != Op::kSetp) return {};
  const Type source = form.type[form.op == Op::kSet ? 1 : 0];
  switch (source) {
    case Type::kB16:
      return raw_bits<Whole<u16>>(form);
    case Type::kB32:
      return raw_bits<Whole<u32>>(form);
    case Type::kB64:
      return raw_bits<Whole<u64>>(form);
    case Type::kU16:
      return integers<Whole<u16>>(form);
    case Type::kU32:
      return integers<Whole<u32>>(form);
    case Type::kU64:
      return integers<Whole<u64>>(form);
    case Type::kS16:
      return integers<Whole<s16>>(form);
    case Type::kS32:
      return integers<Whole<s32>>(form);
    case Type::kS64:
      return integers<Whole<s64>>(form);
    case Type::kF32:
      return form.ftz ? reals<Real<float, true>>(form) : reals<Real<float, false>>(form);
    case Type::kF64:
      return reals<Real<double, false>>(form);
    case Type::kF16:
    case Type::kF16x2:
      return form.ftz ? halves<F16, true>(form, source == Type::kF16x2)
                      : halves<F16, false>(form, source == Type::kF16x2);
    case Type::kBf16:
    case Type::kBf16x2:
      return halves<Bf16, false>(form, source == Type::kBf16x2);
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
