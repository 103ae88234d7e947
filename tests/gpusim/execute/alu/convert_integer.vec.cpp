// cvt between integers, and cvt.pack. A narrow destination is sign- or zero-extended to its row.
// The register of a source or destination may be wider than its type (`cvt.s64.s8 %rd1, %rd2`): the
// row width is a parameter beside the type.
#include "execute/alu/integer_ops.hpp"

namespace gpusim::GPUSIM_TARGET {
namespace {

template <class T>
constexpr T kHighest = static_cast<T>(kSigned<T> ? static_cast<Unsigned<T>>(~Unsigned<T>{0}) >> 1
                                                 : static_cast<Unsigned<T>>(~Unsigned<T>{0}));
template <class T>
constexpr T kLowest = static_cast<T>(~kHighest<T>);  // 0 where unsigned

template <class D, class S>
[[gnu::always_inline]] inline D clamped(S v) {
  if constexpr (kSigned<S>) {
    const s64 w = v;
    if constexpr (kSigned<D>) {
      if (w < s64{kLowest<D>}) return kLowest<D>;
      if (w > s64{kHighest<D>}) return kHighest<D>;
    } else {
      if (w < 0) return 0;
      if (static_cast<u64>(w) > u64{kHighest<D>}) return kHighest<D>;
    }
  } else {
    if (u64{v} > static_cast<u64>(kHighest<D>)) return kHighest<D>;
  }
  return static_cast<D>(v);
}

/// The row element of a value, extended by the sign of its type.
template <class Row, class D>
[[gnu::always_inline]] inline Row extended(D value) {
  return static_cast<Row>(static_cast<s64>(value));
}

template <class D, class DRow, class S, class SRow, bool Sat>
[[gnu::flatten]] void convert(const AluOperands& o, std::uint32_t mask) {
  const SRow* const a = static_cast<const SRow*>(o.a);
  for_lanes<DRow, sizeof(DRow) == sizeof(SRow)>(o.d, mask, [=](int i) {
    const S value = static_cast<S>(a[i]);
    if constexpr (Sat) return extended<DRow>(clamped<D>(value));
    return extended<DRow>(static_cast<D>(value));
  });
}

template <class D, class DRow, class S, class SRow>
AluEntry rows(const Form& form) {
  AluEntry e;
  e.function = form.sat ? convert<D, DRow, S, SRow, true> : convert<D, DRow, S, SRow, false>;
  e.d_bits = kRowBits<DRow>;
  e.a_bits = kRowBits<SRow>;
  return e;
}

template <class D, class S>
AluEntry pair(const Form& form) {
  const bool wide_d = form.d_bits == 64 && sizeof(D) < 8;
  const bool wide_s = form.a_bits == 64 && sizeof(S) < 8;
  if (wide_d) {
    return wide_s ? rows<D, u64, S, u64>(form) : rows<D, u64, S, RowOf<S>>(form);
  }
  return wide_s ? rows<D, RowOf<D>, S, u64>(form) : rows<D, RowOf<D>, S, RowOf<S>>(form);
}

template <class D>
AluEntry from(const Form& form) {
  switch (form.type[1]) {
    case Type::kU8:
      return pair<D, u8>(form);
    case Type::kS8:
      return pair<D, s8>(form);
    case Type::kU16:
      return pair<D, u16>(form);
    case Type::kS16:
      return pair<D, s16>(form);
    case Type::kU32:
      return pair<D, u32>(form);
    case Type::kS32:
      return pair<D, s32>(form);
    case Type::kU64:
      return pair<D, u64>(form);
    case Type::kS64:
      return pair<D, s64>(form);
    default:
      return {};
  }
}

/// Two halves, or two bytes in front of the half word that c already holds.
template <class D>
struct PackHalves {
  u32 operator()(s32 a, s32 b) const {
    return u32{static_cast<u16>(clamped<D>(b))} | u32{static_cast<u16>(clamped<D>(a))} << 16;
  }
};
template <class D>
struct PackBytes {
  u32 operator()(s32 a, s32 b, u32 c) const {
    return u32{static_cast<u8>(clamped<D>(b))} | u32{static_cast<u8>(clamped<D>(a))} << 8 | c << 16;
  }
};

AluEntry pack(const Form& form) {
  if (!form.sat || form.type[1] != Type::kS32) return {};
  switch (form.type[0]) {
    case Type::kU16:
      return entry<PackHalves<u16>, u32, s32, s32>();
    case Type::kS16:
      return entry<PackHalves<s16>, u32, s32, s32>();
    case Type::kU8:
      return entry<PackBytes<u8>, u32, s32, s32, u32>();
    case Type::kS8:
      return entry<PackBytes<s8>, u32, s32, s32, u32>();
    default:
      return {};
  }
}

}  // namespace

AluEntry find_convert_integer(const Form& form) {
  if (form.op == Op::kCvtPack) return pack(form);
  if (form.op != Op::kCvt || form.types != 2 || form.round != Round::kNone) return {};
  switch (form.type[0]) {
    case Type::kU8:
      return from<u8>(form);
    case Type::kS8:
      return from<s8>(form);
    case Type::kU16:
      return from<u16>(form);
    case Type::kS16:
      return from<s16>(form);
    case Type::kU32:
      return from<u32>(form);
    case Type::kS32:
      return from<s32>(form);
    case Type::kU64:
      return from<u64>(form);
    case Type::kS64:
      return from<s64>(form);
    default:
      return {};
  }
}

}  // namespace gpusim::GPUSIM_TARGET
