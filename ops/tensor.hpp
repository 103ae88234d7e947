// Element types, shapes, and views of tensors that lie in somebody else's memory. A tensor here is
// dense and row-major: the last dimension is contiguous. Ownership is the business of ops/device.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "ops/base/bf16.hpp"
#include "ops/base/error.hpp"

namespace ingot {

enum class DType : std::uint8_t { kF32, kBf16, kF64, kU8, kU16, kI32, kU32, kI64 };

std::int64_t size_of(DType type);      ///< bytes of one element
std::string_view name_of(DType type);  ///< "f32", "bf16", ...

/// The DType of a C++ element type.
template <typename T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kF32;
}
template <>
constexpr DType dtype_of<Bf16>() {
  return DType::kBf16;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::kF64;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::kU8;
}
template <>
constexpr DType dtype_of<std::uint16_t>() {
  return DType::kU16;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType dtype_of<std::uint32_t>() {
  return DType::kU32;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::kI64;
}

/// Up to kMaxRank extents, none negative. A shape of rank 0 is a scalar with one element.
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents)
      : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// Extent of one dimension; negative indices count from the last, as in shape[-1].
  std::int64_t operator[](int dimension) const;
  std::span<const std::int64_t> extents() const {
    return {extents_.data(), static_cast<std::size_t>(rank_)};
  }
  /// Number of elements.
  std::int64_t count() const;
  /// Number of elements with the last `dimensions` dimensions left out: rows of a matrix view.
  std::int64_t leading_count(int dimensions = 1) const;
  /// The same shape with the last extent replaced.
  Shape with_last(std::int64_t extent) const;
  std::string text() const;  ///< "[4, 256, 384]"

  friend bool operator==(const Shape& a, const Shape& b);

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// What a tensor is, without where it lies.
struct TensorType {
  DType dtype = DType::kF32;
  Shape shape;

  std::int64_t count() const { return shape.count(); }
  std::int64_t bytes() const { return shape.count() * size_of(dtype); }
  std::string text() const;  ///< "f32 [4, 256]"
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// A typed window on device memory; owns nothing.
struct TensorView {
  void* data = nullptr;
  TensorType type;

  /// The elements as T, which must be the tensor's element type.
  template <typename T>
  T* as() const {
    ensure(dtype_of<T>() == type.dtype, "a view of the tensor's own element type");
    return static_cast<T*>(data);
  }
  std::int64_t count() const { return type.count(); }
};

}  // namespace ingot
