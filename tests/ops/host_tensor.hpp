// A tensor in host memory for the tests of ops: made from doubles, read as doubles, with guard
// bytes behind it that show writes past its end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/tensor.hpp"

namespace ingot::test {

/// Calls function(T{}) with the C++ type of `dtype`.
template <typename F>
void with_element_type(DType dtype, F function) {
  switch (dtype) {
    case DType::kF32:
      return function(float{});
    case DType::kBf16:
      return function(Bf16{});
    case DType::kF64:
      return function(double{});
    case DType::kU8:
      return function(std::uint8_t{});
    case DType::kU16:
      return function(std::uint16_t{});
    case DType::kI32:
      return function(std::int32_t{});
    case DType::kU32:
      return function(std::uint32_t{});
    case DType::kI64:
      return function(std::int64_t{});
  }
}

/// A tensor's values in host memory. Memory is 64-byte aligned like an arena's, with guard bytes
/// behind it that show writes past the end.
class HostTensor {
 public:
  /// An absent optional input.
  HostTensor() : HostTensor(TensorType{DType::kU8, Shape{0}}) {}
  /// Every byte 0xff: NaN as f32 and bf16, so that an element that nobody writes is noticed.
  explicit HostTensor(TensorType type) : type_(std::move(type)), bytes_(storage_bytes()) {
    std::memset(data(), 0xff, static_cast<std::size_t>(type_.bytes()));
    std::memset(guard(), kGuardByte, kGuardBytes);
  }
  HostTensor(TensorType type, const std::vector<double>& values) : HostTensor(std::move(type)) {
    set_values(values);
  }
  HostTensor(const HostTensor& other) : type_(other.type_), bytes_(other.bytes_.size()) {
    std::memcpy(data(), other.data(), static_cast<std::size_t>(type_.bytes()) + kGuardBytes);
  }
  HostTensor& operator=(const HostTensor& other) {
    HostTensor copy(other);
    *this = std::move(copy);
    return *this;
  }
  HostTensor(HostTensor&&) = default;
  HostTensor& operator=(HostTensor&&) = default;

  /// Uniform values in [low, high), rounded to the element type; integers lie in [low, high - 1].
  static HostTensor random(TensorType type, std::mt19937& generator, double low = -1,
                           double high = 1) {
    std::uniform_real_distribution<double> uniform(low, high);
    std::vector<double> values(static_cast<std::size_t>(type.count()));
    const bool real = is_real(type.dtype);
    for (double& value : values) {
      value = real ? uniform(generator) : std::min(std::floor(uniform(generator)), high - 1);
    }
    return HostTensor(std::move(type), values);
  }
  /// The bytes of a plain struct as a u8 tensor, such as StepScalars.
  template <typename T>
  static HostTensor of_struct(const T& object) {
    HostTensor tensor(TensorType{DType::kU8, Shape{static_cast<std::int64_t>(sizeof(T))}});
    std::memcpy(tensor.data(), &object, sizeof(T));
    return tensor;
  }

  static bool is_real(DType dtype) {
    return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF64;
  }
  const TensorType& type() const { return type_; }
  bool absent() const { return type_.count() == 0; }
  std::byte* data() const { return const_cast<std::byte*>(aligned()); }
  TensorView view() const { return {absent() ? nullptr : data(), type_}; }
  template <typename T>
  T* as() const {
    return view().as<T>();
  }

  std::vector<double> values() const {
    std::vector<double> result(static_cast<std::size_t>(type_.count()));
    with_element_type(type_.dtype, [&](auto element) {
      using T = decltype(element);
      const T* from = reinterpret_cast<const T*>(data());
      for (std::size_t i = 0; i < result.size(); ++i) {
        if constexpr (std::is_same_v<T, Bf16>) {
          result[i] = static_cast<float>(from[i]);
        } else {
          result[i] = static_cast<double>(from[i]);
        }
      }
    });
    return result;
  }
  void set_values(const std::vector<double>& values) {
    ensure(static_cast<std::int64_t>(values.size()) == type_.count(), "one value per element");
    with_element_type(type_.dtype, [&](auto element) {
      using T = decltype(element);
      T* to = reinterpret_cast<T*>(data());
      for (std::size_t i = 0; i < values.size(); ++i) {
        if constexpr (std::is_same_v<T, Bf16>) {
          to[i] = Bf16(static_cast<float>(values[i]));
        } else {
          to[i] = static_cast<T>(values[i]);
        }
      }
    });
  }
  bool same_bits(const HostTensor& other) const {
    return type_ == other.type_ &&
           std::memcmp(data(), other.data(), static_cast<std::size_t>(type_.bytes())) == 0;
  }
  bool guard_intact() const {
    return std::all_of(guard(), guard() + kGuardBytes,
                       [](std::byte byte) { return byte == std::byte{kGuardByte}; });
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kGuardBytes = 64;
  static constexpr unsigned char kGuardByte = 0x5a;

  std::size_t storage_bytes() const {
    return static_cast<std::size_t>(type_.bytes()) + kGuardBytes + kAlignment;
  }
  const std::byte* aligned() const {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return bytes_.data() + (kAlignment - address % kAlignment) % kAlignment;
  }
  std::byte* guard() const { return data() + type_.bytes(); }

  TensorType type_;
  std::vector<std::byte> bytes_;
};

}  // namespace ingot::test
