// How the micro-batches of a step are dealt out to ranks: what the sampler hands out and what the
// order of an ordered reduction is laid over.
#pragma once

#include <cstdint>

namespace ingot {

/// Which of a step's G micro-batches a rank holds, of R ranks with A = G / R each.
enum class MicroAssignment : std::uint8_t {
  kConsecutive,  ///< rank r: rA ... rA + A - 1
  kStrided       ///< rank r: r, R + r, 2R + r, ...
};

}  // namespace ingot
