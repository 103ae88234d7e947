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

}  // namespace ingot
