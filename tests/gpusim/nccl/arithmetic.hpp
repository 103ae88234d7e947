// The arithmetic of reductions: f16 and bf16 are summed in f32 over all ranks, in the order of
// ranks, and rounded once; the real library adds in an order of its own and may round oftener.
#pragma once

#include <nccl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace gpusim::nccl {

/// 0 for an unknown type.
std::size_t size_of(ncclDataType_t type);
const char* name_of(ncclDataType_t type);

/// A reduction: a built-in one, or the sum of each rank's data times a factor of its own.
struct Reduction {
  ncclRedOp_t operation = ncclSum;
  bool scaled = false;
  double factor = 1;  ///< with `scaled`
};
const char* name_of(ncclRedOp_t operation);

/// Whether the type can be reduced: 8-bit floats only move.
bool can_reduce(ncclDataType_t type);

/// to[0..count) = the reduction of the contributions, which are in the order of ranks. `to` may be
/// one of them.
void reduce(ncclDataType_t type, ncclRedOp_t operation, std::span<const std::byte* const> from,
            std::size_t count, std::byte* to);

/// One element as f64; integers of 64 bits are rounded.
double to_double(ncclDataType_t type, const std::byte* element);

/// to[i] = factor * from[i], in the type.
void scale(ncclDataType_t type, double factor, const std::byte* from, std::size_t count,
           std::byte* to);

}  // namespace gpusim::nccl
