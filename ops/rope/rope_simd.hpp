// One position's rotation, compiled for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

#include "ops/tensor.hpp"

namespace ingot::cpu {

/// Rotates `heads` consecutive heads of `head_size` elements from x to y (which may be x) by the
/// head_size / 2 angles whose cosines and sines are given.
void rotate_heads(DType dtype, const void* x, void* y, std::int64_t heads, std::int64_t head_size,
                  const float* cosines, const float* sines);

}  // namespace ingot::cpu
