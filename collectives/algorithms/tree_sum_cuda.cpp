// The host's side of the tree sum on a GPU.
#include "collectives/algorithms/tree_sum_cuda.hpp"

#include <algorithm>

#include "ops/base/error.hpp"
#include "ops/device/cuda/check.hpp"
#include "ops/device/cuda/cuda_device.hpp"

namespace ingot::cuda {

namespace {

bool fits(const TreeSumItem& item) {
  return item.block >= 0 && item.block < std::int64_t{1} << (32 - kTreeMergeBits) &&
         item.merges >= 0 && item.merges < 1 << kTreeMergeBits;
}

}  // namespace

void tree_sum(Stream& stream, const TreeSum& tree, float* to, const float* blocks,
              std::int64_t count) {
  if (count == 0) return;
  const std::span<const TreeSumItem> items = tree.items();
  if (items.size() == 1) {
    const float* only = blocks + items.front().block * count;
    if (to != only) {
      stream.device().copy(stream, to, only, count * static_cast<std::int64_t>(sizeof(float)));
    }
    return;
  }
  ensure(static_cast<std::int64_t>(items.size()) <= kMostTreeItems &&
             tree.depth() <= kMostTreeDepth && std::ranges::all_of(items, fits),
         "a tree that a GPU can sum");
  CudaDevice& device = cuda_device(stream.device());
  device.make_current();
  launch_tree_sum(native(stream), device.properties().multiProcessorCount, items, tree.depth(), to,
                  blocks, count);
  check(cudaGetLastError(), "a launch of the tree sum");
}

}  // namespace ingot::cuda
