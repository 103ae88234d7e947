// The tree sum of an ordered reduction on a GPU: the additions of TreeSum::run, in its order, with
// its bits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>

#include "collectives/algorithms/tree_sum.hpp"
#include "ops/device/device.hpp"

namespace ingot::cuda {

/// Most blocks that one sum can have: what the arguments of a kernel have room for. More is 8000
/// ranks with one partial sum each, and nodes that add up theirs first count as one.
constexpr std::int64_t kMostTreeItems = 8000;
/// Most blocks and sums that wait at once: those below the newest fit the shared memory that any
/// thread block may have.
constexpr std::int64_t kMostTreeDepth = 20;
/// The kernel has an item in one word: its block, and in the low bits how many additions follow.
constexpr int kTreeMergeBits = 8;

/// to[0..count) = the tree sum of `blocks`, in device memory, in the order of `stream`. `to` may be
/// one of the blocks. Needs no memory beside them; can be recorded.
void tree_sum(Stream& stream, const TreeSum& tree, float* to, const float* blocks,
              std::int64_t count);

/// The same on a stream of CUDA's, for trees within the limits above.
void launch_tree_sum(cudaStream_t stream, int multiprocessors, std::span<const TreeSumItem> items,
                     std::int64_t depth, float* to, const float* blocks, std::int64_t count);

}  // namespace ingot::cuda
