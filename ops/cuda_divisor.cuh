// Division of an index by a number that is known before a launch, as a multiplication. 64-bit
// division takes dozens of instructions on a GPU, and index arithmetic has one per vector.
#pragma once

#include <cstdint>

namespace ingot::cuda {

/// Source: Granlund, Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994.
class Divisor {
 public:
  Divisor() = default;
  /// 0 < divisor < 2^31.
  explicit Divisor(std::int64_t divisor) : divisor_(static_cast<std::uint32_t>(divisor)) {
    while ((std::uint64_t{1} << shift_) < divisor_) ++shift_;
    const std::uint64_t rest = (std::uint64_t{1} << shift_) - divisor_;
    multiplier_ = static_cast<std::uint32_t>((rest << 32) / divisor_ + 1);
  }
  __device__ std::uint32_t value() const { return divisor_; }
  /// Quotient of any 32-bit number.
  __device__ std::uint32_t divide(std::uint32_t number) const {
    const std::uint64_t high = (std::uint64_t{multiplier_} * number) >> 32;
    return static_cast<std::uint32_t>((high + number) >> shift_);
  }

 private:
  std::uint32_t divisor_ = 1;
  std::uint32_t multiplier_ = 1;
  int shift_ = 0;
};

}  // namespace ingot::cuda
