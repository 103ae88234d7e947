#include "ops/tensor.hpp"

#include <algorithm>

namespace ingot {

std::int64_t size_of(DType type) {
  switch (type) {
    case DType::kU8:
      return 1;
    case DType::kBf16:
    case DType::kU16:
      return 2;
    case DType::kF32:
    case DType::kI32:
    case DType::kU32:
      return 4;
    case DType::kF64:
    case DType::kI64:
      return 8;
  }
  return 0;
}

std::string_view name_of(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kBf16:
      return "bf16";
    case DType::kF64:
      return "f64";
    case DType::kU8:
      return "u8";
    case DType::kU16:
      return "u16";
    case DType::kI32:
      return "i32";
    case DType::kU32:
      return "u32";
    case DType::kI64:
      return "i64";
  }
  return "?";
}

Shape::Shape(std::span<const std::int64_t> extents) {
  ensure(extents.size() <= kMaxRank, "a tensor of at most six dimensions");
  for (const std::int64_t extent : extents) {
    ensure(extent >= 0, "extents that are not negative");
    extents_[static_cast<std::size_t>(rank_++)] = extent;
  }
}

std::int64_t Shape::operator[](int dimension) const {
  const int index = dimension < 0 ? rank_ + dimension : dimension;
  ensure(index >= 0 && index < rank_, "a dimension that the shape has");
  return extents_[static_cast<std::size_t>(index)];
}

std::int64_t Shape::count() const {
  return leading_count(0);
}

std::int64_t Shape::leading_count(int dimensions) const {
  std::int64_t product = 1;
  for (int i = 0; i + dimensions < rank_; ++i) {
    ensure(!__builtin_mul_overflow(product, extents_[static_cast<std::size_t>(i)], &product),
           "a number of elements that fits 63 bits");
  }
  return product;
}

Shape Shape::with_last(std::int64_t extent) const {
  ensure(rank_ > 0, "a shape with a last dimension");
  Shape result = *this;
  result.extents_[static_cast<std::size_t>(rank_ - 1)] = extent;
  return result;
}

std::string Shape::text() const {
  std::string result = "[";
  for (int i = 0; i < rank_; ++i) {
    result += fmt::format("{}{}", i == 0 ? "" : ", ", extents_[static_cast<std::size_t>(i)]);
  }
  return result + "]";
}

bool operator==(const Shape& a, const Shape& b) {
  return std::ranges::equal(a.extents(), b.extents());
}

std::string TensorType::text() const {
  return fmt::format("{} {}", name_of(dtype), shape.text());
}

}  // namespace ingot
