// Philox4x32-10 (ops/base/philox.hpp) on the GPU, bit for bit the same draws.
#pragma once

#include <cstdint>

#include "ops/base/philox.hpp"

namespace ingot::cuda {

/// The four words of philox(seed, purpose, index_high, index_low).
__device__ inline uint4 philox_words(std::uint64_t seed, RandomPurpose purpose,
                                     std::uint64_t index_high, std::uint64_t index_low) {
  auto counter0 = static_cast<std::uint32_t>(index_low);
  auto counter1 = static_cast<std::uint32_t>(index_low >> 32);
  auto counter2 = static_cast<std::uint32_t>(index_high);
  auto counter3 = static_cast<std::uint32_t>(index_high >> 32);
  auto key0 = static_cast<std::uint32_t>(seed);
  auto key1 =
      static_cast<std::uint32_t>(seed >> 32) ^ (static_cast<std::uint32_t>(purpose) * 0x85ebca6bU);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t high0 = __umulhi(0xD2511F53U, counter0);
    const std::uint32_t low0 = 0xD2511F53U * counter0;
    const std::uint32_t high1 = __umulhi(0xCD9E8D57U, counter2);
    const std::uint32_t low1 = 0xCD9E8D57U * counter2;
    counter0 = high1 ^ counter1 ^ key0;
    counter1 = low1;
    counter2 = high0 ^ counter3 ^ key1;
    counter3 = low0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return make_uint4(counter0, counter1, counter2, counter3);
}

}  // namespace ingot::cuda
