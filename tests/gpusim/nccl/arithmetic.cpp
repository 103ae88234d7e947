#include "nccl/arithmetic.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace gpusim::nccl {

namespace {

namespace elements {
#include "blas/elements-inl.hpp"
}  // namespace elements

template <typename T>
struct Plain {
  using Stored = T;
  using Wide = T;
  static Wide widen(Stored value) { return value; }
  static Stored narrow(Wide value) { return value; }
};
struct Half {
  using Stored = std::uint16_t;
  using Wide = float;
  static Wide widen(Stored value) { return elements::f16_to_float(value); }
  static Stored narrow(Wide value) { return elements::float_to_f16(value); }
};
struct Bfloat16 {
  using Stored = std::uint16_t;
  using Wide = float;
  static Wide widen(Stored value) { return elements::bf16_to_float(value); }
  static Stored narrow(Wide value) { return elements::float_to_bf16(value); }
};

/// 8-bit floats with `Mantissa` bits of mantissa. What is too large becomes the largest number, as
/// CUDA's conversions and NCCL do it.
template <int Mantissa, int Bias, std::uint8_t Largest>
struct Float8 {
  using Stored = std::uint8_t;
  using Wide = float;
  static constexpr std::uint8_t kNan = 0x7f;
  static Wide widen(Stored value) {
    const int code = value & 0x7f;
    const float sign = (value & 0x80) != 0 ? -1.0F : 1.0F;
    if (code > Largest) {
      const bool infinite = Mantissa == 2 && code == 0x7c;
      return infinite ? sign * std::numeric_limits<float>::infinity()
                      : std::numeric_limits<float>::quiet_NaN();
    }
    const int exponent = code >> Mantissa, fraction = code & ((1 << Mantissa) - 1);
    if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), 1 - Bias - Mantissa);
    return sign *
           std::ldexp(static_cast<float>(fraction + (1 << Mantissa)), exponent - Bias - Mantissa);
  }
  static Stored narrow(Wide value) {
    const auto sign = static_cast<std::uint8_t>(std::signbit(value) ? 0x80 : 0);
    if (std::isnan(value)) return sign | kNan;
    const float magnitude = std::fabs(value);
    if (magnitude >= widen(Largest)) return sign | Largest;
    const int exponent = std::max(magnitude > 0 ? std::ilogb(magnitude) : 1 - Bias, 1 - Bias);
    // Halves to even, in units of the last place; a carry into the exponent is right as it is.
    const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, Mantissa - exponent)));
    const int code = units + ((exponent + Bias - 1) << Mantissa);
    return static_cast<std::uint8_t>(sign | std::min<int>(code, Largest));
  }
};
using Float8e4m3 = Float8<3, 7, 0x7e>;
using Float8e5m2 = Float8<2, 15, 0x7b>;

/// Integers wrap around.
template <typename T>
T add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
  } else {
    return a + b;
  }
}
template <typename T>
T multiply(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  } else {
    return a * b;
  }
}

template <typename T>
T combine(ncclRedOp_t operation, T a, T b) {
  switch (operation) {
    case ncclProd:
      return multiply(a, b);
    case ncclMax:
      return std::max(a, b);
    case ncclMin:
      return std::min(a, b);
    default:
      return add(a, b);
  }
}

template <typename Type>
void reduce_as(ncclRedOp_t operation, std::span<const std::byte* const> from, std::size_t count,
               std::byte* to) {
  using Stored = typename Type::Stored;
  using Wide = typename Type::Wide;
  const auto element = [&](std::size_t rank, std::size_t i) {
    Stored stored;
    std::memcpy(&stored, from[rank] + i * sizeof stored, sizeof stored);
    return Type::widen(stored);
  };
  for (std::size_t i = 0; i < count; ++i) {
    Wide result = element(0, i);
    for (std::size_t rank = 1; rank < from.size(); ++rank) {
      result = combine(operation, result, element(rank, i));
    }
    if (operation == ncclAvg) result = static_cast<Wide>(result / static_cast<Wide>(from.size()));
    const Stored stored = Type::narrow(result);
    std::memcpy(to + i * sizeof stored, &stored, sizeof stored);
  }
}

template <typename Type>
void scale_as(double factor, const std::byte* from, std::size_t count, std::byte* to) {
  using Stored = typename Type::Stored;
  using Wide = typename Type::Wide;
  for (std::size_t i = 0; i < count; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * sizeof stored, sizeof stored);
    stored = Type::narrow(multiply(Type::widen(stored), static_cast<Wide>(factor)));
    std::memcpy(to + i * sizeof stored, &stored, sizeof stored);
  }
}

/// Calls visit(Type()) with what stands for the element type; types that cannot be reduced: not.
template <typename Visit>
void with_type(ncclDataType_t type, Visit visit) {
  switch (type) {
    case ncclInt8:
      return visit(Plain<std::int8_t>());
    case ncclUint8:
      return visit(Plain<std::uint8_t>());
    case ncclInt32:
      return visit(Plain<std::int32_t>());
    case ncclUint32:
      return visit(Plain<std::uint32_t>());
    case ncclInt64:
      return visit(Plain<std::int64_t>());
    case ncclUint64:
      return visit(Plain<std::uint64_t>());
    case ncclFloat16:
      return visit(Half());
    case ncclBfloat16:
      return visit(Bfloat16());
    case ncclFloat8e4m3:
      return visit(Float8e4m3());
    case ncclFloat8e5m2:
      return visit(Float8e5m2());
    case ncclFloat32:
      return visit(Plain<float>());
    case ncclFloat64:
      return visit(Plain<double>());
    default:
      return;
  }
}

}  // namespace

std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
    case ncclFloat8e4m3:
    case ncclFloat8e5m2:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
    default:
      return 0;
  }
}

const char* name_of(ncclDataType_t type) {
  constexpr const char* kNames[] = {"int8", "uint8",   "int32",   "uint32",   "int64",  "uint64",
                                    "half", "float32", "float64", "bfloat16", "f8e4m3", "f8e5m2"};
  const auto index = static_cast<std::size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "an unknown type";
}

const char* name_of(ncclRedOp_t operation) {
  constexpr const char* kNames[] = {"sum", "product", "max", "min", "average"};
  const auto index = static_cast<std::size_t>(operation);
  return index < std::size(kNames) ? kNames[index] : "scaled sum";
}

bool can_reduce(ncclDataType_t type) {
  return size_of(type) > 0;
}

void reduce(ncclDataType_t type, ncclRedOp_t operation, std::span<const std::byte* const> from,
            std::size_t count, std::byte* to) {
  with_type(type, [&]<typename Type>(Type) { reduce_as<Type>(operation, from, count, to); });
}

double to_double(ncclDataType_t type, const std::byte* element) {
  double result = 0;
  with_type(type, [&]<typename Type>(Type) {
    typename Type::Stored stored;
    std::memcpy(&stored, element, sizeof stored);
    result = static_cast<double>(Type::widen(stored));
  });
  return result;
}

void scale(ncclDataType_t type, double factor, const std::byte* from, std::size_t count,
           std::byte* to) {
  with_type(type, [&]<typename Type>(Type) { scale_as<Type>(factor, from, count, to); });
}

}  // namespace gpusim::nccl
