// What each rank puts into a collective of a test, and what must come out: small integers, so that
// sums are exact in any order and in every element type.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "collectives/communicator.hpp"
#include "ops/tensor.hpp"

namespace ingot::test {

constexpr std::array kOperations = {ReduceOperation::kSum, ReduceOperation::kMin,
                                    ReduceOperation::kMax};

/// Element i of what a rank contributes: at most 7, so that the sum over 8 ranks fits bf16 and u8.
inline int contribution(int rank, std::int64_t i) {
  return static_cast<int>((i * 5 + (i >> 10) + rank * 3 + 1) % 8);
}

/// Element i of the reduction over what ranks 0 to ranks-1 of `of` contribute.
template <typename RankOf>
int reduced(ReduceOperation operation, int ranks, std::int64_t i, RankOf of) {
  int result = contribution(of(0), i);
  for (int rank = 1; rank < ranks; ++rank) {
    const int other = contribution(of(rank), i);
    if (operation == ReduceOperation::kSum) result += other;
    if (operation == ReduceOperation::kMin) result = std::min(result, other);
    if (operation == ReduceOperation::kMax) result = std::max(result, other);
  }
  return result;
}
inline int reduced(ReduceOperation operation, int ranks, std::int64_t i) {
  return reduced(operation, ranks, i, [](int rank) { return rank; });
}

template <typename T>
T to_element(int value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return Bf16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}
template <typename T>
double to_number(T value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return static_cast<float>(value);
  } else {
    return static_cast<double>(value);
  }
}

}  // namespace ingot::test
