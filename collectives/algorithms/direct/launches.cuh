// How the kernels of direct collectives are launched: with how many blocks. A template of what a
// test leaves out (tests/collectives/direct/omissions.cu), which launches them as the product does.
#pragma once

#include "collectives/algorithms/direct/kernels.cuh"

namespace ingot::direct {

template <typename T, Omit kOmit>
void launch_one_shot(const Lane& lane, cudaStream_t stream, void* data, std::int64_t count,
                     Reduction reduction) {
  const unsigned blocks = blocks_for(lane, vectors_of(count, sizeof(T)));
  one_shot_kernel<T, kOmit><<<blocks, kThreads, 0, stream>>>(lane, data, count, reduction);
}

template <typename T, Omit kOmit>
void launch_two_shot(const Lane& lane, cudaStream_t stream, void* data, std::int64_t count,
                     Reduction reduction) {
  const std::int64_t vectors = vectors_of(count, sizeof(T));
  const unsigned blocks = blocks_for(lane, (vectors + lane.ranks - 1) / lane.ranks);
  two_shot_kernel<T, kOmit><<<blocks, kThreads, 0, stream>>>(lane, data, count, reduction);
}

template <typename T, Omit kOmit>
void launch_reduce_scatter(const Lane& lane, cudaStream_t stream, void* to, const void* from,
                           std::int64_t count, std::int64_t stride, Reduction reduction) {
  const unsigned blocks = blocks_for(lane, vectors_of(count, sizeof(T)));
  reduce_scatter_kernel<T, kOmit>
      <<<blocks, kThreads, 0, stream>>>(lane, to, from, count, stride, reduction);
}

}  // namespace ingot::direct
