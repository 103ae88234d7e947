// The local arithmetic of reductions.
#pragma once

#include <cstdint>

#include "collectives/communicator.hpp"
#include "ops/tensor.hpp"

namespace ingot::mpi {

/// into[i] = into[i] (operation) from[i] for `count` elements; bf16 is combined in f32 and rounded.
void reduce_into(void* into, const void* from, std::int64_t count, DType type,
                 ReduceOperation operation);

}  // namespace ingot::mpi
