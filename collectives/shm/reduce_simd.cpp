// See reduce.hpp. This file is read once per instruction set by Highway's foreach_target.
#include "collectives/shm/reduce.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "collectives/shm/reduce_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace ingot::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

struct Sum {
  template <typename V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Add(a, b);
  }
};
// The first of two equal ones, and of a NaN and a number, as the other transports have it.
struct Min {
  template <typename V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::IfThenElse(hn::Lt(b, a), b, a);
  }
};
struct Max {
  template <typename V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::IfThenElse(hn::Lt(a, b), b, a);
  }
};

/// How vectors of an element type are read, combined and written.
template <typename T>
struct Elements {
  using Tag = hn::ScalableTag<T>;
  static HWY_INLINE auto load(const T* from) { return hn::LoadU(Tag(), from); }
  template <typename V>
  static HWY_INLINE void store(V value, T* to) {
    hn::StoreU(value, Tag(), to);
  }
};
template <>
struct Elements<Bf16> {
  using Tag = hn::ScalableTag<float>;
  using Words = hn::RebindToUnsigned<Tag>;
  using Halves = hn::Rebind<std::uint16_t, Tag>;
  static HWY_INLINE auto load(const Bf16* from) {
    const auto halves = hn::LoadU(Halves(), reinterpret_cast<const std::uint16_t*>(from));
    return hn::BitCast(Tag(), hn::ShiftLeft<16>(hn::PromoteTo(Words(), halves)));
  }
  /// Rounds as Bf16 does: to nearest, ties to even, NaN quiet.
  template <typename V>
  static HWY_INLINE void store(V value, Bf16* to) {
    const Words d;
    const auto word = hn::BitCast(d, value);
    const auto high = hn::ShiftRight<16>(word);
    const auto odd = hn::And(high, hn::Set(d, 1U));
    const auto rounded = hn::ShiftRight<16>(hn::Add(word, hn::Add(odd, hn::Set(d, 0x7fffU))));
    const auto quiet = hn::Or(high, hn::Set(d, 0x40U));
    const auto is_nan = hn::RebindMask(d, hn::IsNaN(value));
    const hn::RebindToSigned<Words> signed_tag;
    const auto result = hn::BitCast(signed_tag, hn::IfThenElse(is_nan, quiet, rounded));
    hn::StoreU(hn::DemoteTo(Halves(), result), Halves(), reinterpret_cast<std::uint16_t*>(to));
  }
};

/// `kVectors` vectors from element i on.
template <int kVectors, typename T, typename F>
HWY_INLINE void reduce_vectors(std::span<std::byte* const> to,
                               std::span<const std::byte* const> from, std::int64_t i,
                               F operation) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(typename Elements<T>::Tag()));
  const auto load = [&](const std::byte* data, int v) HWY_ATTR {
    return Elements<T>::load(reinterpret_cast<const T*>(data) + i + v * lanes);
  };
  const auto store = [&](auto value, std::byte* data, int v) HWY_ATTR {
    Elements<T>::store(value, reinterpret_cast<T*>(data) + i + v * lanes);
  };
  if constexpr (kVectors == 4) {
    auto a = load(from[0], 0);
    auto b = load(from[0], 1);
    auto c = load(from[0], 2);
    auto d = load(from[0], 3);
    for (std::size_t r = 1; r < from.size(); ++r) {
      a = operation(a, load(from[r], 0));
      b = operation(b, load(from[r], 1));
      c = operation(c, load(from[r], 2));
      d = operation(d, load(from[r], 3));
    }
    for (std::byte* data : to) {
      store(a, data, 0);
      store(b, data, 1);
      store(c, data, 2);
      store(d, data, 3);
    }
  } else {
    auto a = load(from[0], 0);
    for (std::size_t r = 1; r < from.size(); ++r) a = operation(a, load(from[r], 0));
    for (std::byte* data : to) store(a, data, 0);
  }
}

template <typename T, typename F>
void reduce_elements(std::span<std::byte* const> to, std::span<const std::byte* const> from,
                     std::int64_t count, F operation) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(typename Elements<T>::Tag()));
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) reduce_vectors<4, T>(to, from, i, operation);
  for (; i + lanes <= count; i += lanes) reduce_vectors<1, T>(to, from, i, operation);
  if (i == count) return;
  // What is left goes through a vector of its own, one rank at a time.
  const auto rest = static_cast<std::size_t>(count - i) * sizeof(T);
  const std::int64_t offset = i * static_cast<std::int64_t>(sizeof(T));
  HWY_ALIGN T part[HWY_MAX_BYTES / sizeof(T)] = {};
  std::memcpy(static_cast<void*>(part), from[0] + offset, rest);
  auto sum = Elements<T>::load(part);
  for (std::size_t r = 1; r < from.size(); ++r) {
    std::memcpy(static_cast<void*>(part), from[r] + offset, rest);
    sum = operation(sum, Elements<T>::load(part));
  }
  Elements<T>::store(sum, part);
  for (std::byte* data : to) std::memcpy(data + offset, static_cast<const void*>(part), rest);
}

template <typename F>
void reduce_as(DType type, std::span<std::byte* const> to, std::span<const std::byte* const> from,
               std::int64_t count, F operation) {
  switch (type) {
    case DType::kF32:
      return reduce_elements<float>(to, from, count, operation);
    case DType::kBf16:
      return reduce_elements<Bf16>(to, from, count, operation);
    case DType::kF64:
      return reduce_elements<double>(to, from, count, operation);
    case DType::kU8:
      return reduce_elements<std::uint8_t>(to, from, count, operation);
    case DType::kU16:
      return reduce_elements<std::uint16_t>(to, from, count, operation);
    case DType::kI32:
      return reduce_elements<std::int32_t>(to, from, count, operation);
    case DType::kU32:
      return reduce_elements<std::uint32_t>(to, from, count, operation);
    case DType::kI64:
      return reduce_elements<std::int64_t>(to, from, count, operation);
  }
}

void reduce_blocks(std::span<std::byte* const> to, std::span<const std::byte* const> from,
                   std::int64_t count, DType type, ReduceOperation operation) {
  switch (operation) {
    case ReduceOperation::kSum:
      return reduce_as(type, to, from, count, Sum());
    case ReduceOperation::kMin:
      return reduce_as(type, to, from, count, Min());
    case ReduceOperation::kMax:
      return reduce_as(type, to, from, count, Max());
  }
}

}  // namespace
}  // namespace ingot::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ingot {
HWY_EXPORT(reduce_blocks);

void shm::reduce(std::span<std::byte* const> to, std::span<const std::byte* const> from,
                 std::int64_t count, DType type, ReduceOperation operation) {
  HWY_DYNAMIC_DISPATCH(reduce_blocks)(to, from, count, type, operation);
}
}  // namespace ingot
#endif
