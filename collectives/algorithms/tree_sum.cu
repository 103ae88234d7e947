// The kernel of the tree sum. A thread carries four consecutive floats, where addresses allow it,
// through the whole tree: every block is read once, and nothing but the sum is written. The tree
// comes with the arguments, in constant memory, where all lanes of a warp read the same word at
// once. Of the sums that wait for their right half the newest is in registers, those below it in
// shared memory, a column per thread.
#include <algorithm>

#include "collectives/algorithms/tree_sum_cuda.hpp"

namespace ingot::cuda {
namespace {

constexpr int kThreads = 128;
/// Blocks that are on their way to a thread at once, whatever its additions wait for.
constexpr int kAhead = 8;
constexpr int kBlocksPerMultiprocessor = 4;

/// Arguments of trees of up to N items: few travel with a launch where few are needed.
template <int N>
struct Tree {
  std::int32_t size;
  std::uint32_t items[N];
};

template <int N>
struct Floats {
  float values[N];
};

template <int N>
__device__ inline Floats<N> load(const float* from) {
  if constexpr (N == 4) {
    const float4 vector = *reinterpret_cast<const float4*>(from);
    return {{vector.x, vector.y, vector.z, vector.w}};
  } else {
    return {{*from}};
  }
}

template <int N>
__device__ inline void store(float* to, const Floats<N>& from) {
  if constexpr (N == 4) {
    const float4 vector = {from.values[0], from.values[1], from.values[2], from.values[3]};
    *reinterpret_cast<float4*>(to) = vector;
  } else {
    *to = from.values[0];
  }
}

/// Each rounded once: never part of a fused multiplication.
template <int N>
__device__ inline Floats<N> add(const Floats<N>& a, const Floats<N>& b) {
  Floats<N> sum;
#pragma unroll
  for (int i = 0; i < N; ++i) sum.values[i] = __fadd_rn(a.values[i], b.values[i]);
  return sum;
}

/// N: floats of a thread, 4 or 1. `to` may be one of the blocks: what a thread reads of it, it
/// reads before it writes.
template <int N, int Items>
__global__ void __launch_bounds__(kThreads, kBlocksPerMultiprocessor)
    tree_sum_kernel(const __grid_constant__ Tree<Items> tree, float* to, const float* blocks,
                    std::int64_t count) {
  extern __shared__ float4 shared[];
  auto* below = reinterpret_cast<Floats<N>*>(shared) + threadIdx.x;
  const std::int64_t pieces = count / N;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < pieces;
       i += std::int64_t{gridDim.x} * kThreads) {
    const float* from = blocks + i * N;
    Floats<N> top{};
    int waiting = 0;  // sums below the top
    for (int first = 0; first < tree.size; first += kAhead) {
      Floats<N> values[kAhead];
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        if (first + k < tree.size) {
          values[k] = load<N>(from + (tree.items[first + k] >> kTreeMergeBits) * count);
        }
      }
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        if (first + k >= tree.size) break;
        if (first + k > 0) below[kThreads * waiting++] = top;
        top = values[k];
        const int merges = static_cast<int>(tree.items[first + k] & ((1U << kTreeMergeBits) - 1));
        for (int merge = 0; merge < merges; ++merge) top = add(below[kThreads * --waiting], top);
      }
    }
    store(to + i * N, top);
  }
}

template <int N, int Items>
void launch(cudaStream_t stream, int multiprocessors, std::span<const TreeSumItem> items,
            std::int64_t depth, float* to, const float* blocks, std::int64_t count) {
  Tree<Items> tree;
  tree.size = static_cast<std::int32_t>(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    tree.items[i] = static_cast<std::uint32_t>(items[i].block) << kTreeMergeBits |
                    static_cast<std::uint32_t>(items[i].merges);
  }
  const std::int64_t needed = (count / N + kThreads - 1) / kThreads;
  const auto grid = static_cast<unsigned>(
      std::min<std::int64_t>(needed, std::int64_t{multiprocessors} * kBlocksPerMultiprocessor));
  // The newest of the waiting sums is in registers.
  const auto shared = static_cast<std::size_t>(depth - 1) * kThreads * N * sizeof(float);
  tree_sum_kernel<N, Items><<<grid, kThreads, shared, stream>>>(tree, to, blocks, count);
}

template <int N>
void launch_for_tree(cudaStream_t stream, int multiprocessors, std::span<const TreeSumItem> items,
                     std::int64_t depth, float* to, const float* blocks, std::int64_t count) {
  constexpr int kFew = 64;
  if (items.size() <= kFew) {
    launch<N, kFew>(stream, multiprocessors, items, depth, to, blocks, count);
  } else {
    launch<N, kMostTreeItems>(stream, multiprocessors, items, depth, to, blocks, count);
  }
}

}  // namespace

void launch_tree_sum(cudaStream_t stream, int multiprocessors, std::span<const TreeSumItem> items,
                     std::int64_t depth, float* to, const float* blocks, std::int64_t count) {
  const auto aligned = [](const float* address) {
    return reinterpret_cast<std::uintptr_t>(address) % sizeof(float4) == 0;
  };
  if (count % 4 == 0 && aligned(to) && aligned(blocks)) {
    launch_for_tree<4>(stream, multiprocessors, items, depth, to, blocks, count);
  } else {
    launch_for_tree<1>(stream, multiprocessors, items, depth, to, blocks, count);
  }
}

}  // namespace ingot::cuda
