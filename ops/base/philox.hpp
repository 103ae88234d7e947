// Philox4x32-10, a counter-based random generator: a draw is a pure function of (key, counter), so
// that any rank computes the draw of any sample without state. Source: Salmon, Moraes, Dror, Shaw,
// "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

namespace ingot {

/// What a draw is for; part of the key, so that purposes never share random numbers.
enum class RandomPurpose : std::uint32_t {
  kInitialise = 1,
  kShuffle = 2,
  kDropout = 3,
  kAttentionDropout = 4,
  kGenerate = 5,
  kSplit = 6,
  kMixture = 7
};

/// Four random 32-bit words for counter (index_high, index_low) under the key (seed, purpose).
inline std::array<std::uint32_t, 4> philox(std::uint64_t seed, RandomPurpose purpose,
                                           std::uint64_t index_high, std::uint64_t index_low) {
  std::array<std::uint32_t, 4> counter = {
      static_cast<std::uint32_t>(index_low), static_cast<std::uint32_t>(index_low >> 32),
      static_cast<std::uint32_t>(index_high), static_cast<std::uint32_t>(index_high >> 32)};
  auto key0 = static_cast<std::uint32_t>(seed);
  // The purpose is spread over the word so that small seeds and purposes do not collide.
  auto key1 =
      static_cast<std::uint32_t>(seed >> 32) ^ (static_cast<std::uint32_t>(purpose) * 0x85ebca6bU);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
               static_cast<std::uint32_t>(product0)};
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return counter;
}

/// Uniform in [0, 1) with 24 random bits, from one word.
inline float uniform_float(std::uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24F;
}
/// Uniform in [0, 1) with 53 random bits, from two words.
inline double uniform_double(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>((std::uint64_t{high} << 21) ^ (low >> 11)) * 0x1p-53;
}

}  // namespace ingot
