// The arithmetic of reductions over memory of several ranks at once, compiled for each instruction
// set and chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "collectives/communicator.hpp"
#include "ops/tensor.hpp"

namespace ingot::shm {

/// Element i of every `to` becomes the reduction of element i of all `from`, in their order; bf16
/// is combined in f32 and rounded once. A `to` may be a `from`.
void reduce(std::span<std::byte* const> to, std::span<const std::byte* const> from,
            std::int64_t count, DType type, ReduceOperation operation);

}  // namespace ingot::shm
