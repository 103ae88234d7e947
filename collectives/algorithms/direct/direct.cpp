#include "collectives/algorithms/direct/direct.hpp"

#include <limits>

namespace ingot {

/// Bytes that one-shot reads from peers more than two-shot does, (R-1) n against 2 (R-1)/R n, in
/// the time of the second meeting. The figures for 4 and 8 ranks are those that vLLM's custom
/// all-reduce came to on NVLink; measured ones take their place (`ingot bench collectives`).
std::int64_t default_one_shot_bytes(int ranks) {
  if (ranks <= 2) return std::numeric_limits<std::int64_t>::max();
  return ranks <= 4 ? 512 << 10 : 256 << 10;
}

/// Flags, state and two halves of staging of each lane, behind a header, in whole pages
/// (peer_memory_cuda.cpp).
std::int64_t direct_memory_bytes(int ranks, std::int64_t staging_bytes) {
  if (ranks <= 1) return 0;
  constexpr std::int64_t kHeader = 256;
  constexpr std::int64_t kPage = 2 << 20;
  const std::int64_t lanes = (kDirectRecordings + 1) * (kDirectControlBytes + 2 * staging_bytes);
  return (kHeader + lanes + kPage - 1) / kPage * kPage;
}

}  // namespace ingot
