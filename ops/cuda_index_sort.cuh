// Sorts the samples of a scatter by table row, stable: samples of a row stay in the order in which
// they stand. A radix sort of eight bits a pass, least significant first; every sample's place
// follows from counts, so nothing depends on the order in which threads run.
#pragma once

#include "ops/cuda_fault.cuh"
#include "ops/cuda_reduce.cuh"

namespace ingot::cuda {

constexpr int kSortThreads = 256;
constexpr int kSortItems = 8;                         ///< of a thread
constexpr int kSortTile = kSortThreads * kSortItems;  ///< samples of a block
constexpr int kSortDigits = 256;
constexpr int kSortScanThreads = 1024;

/// One pass. `samples` is nullptr in the first, where the sample of place i is i and `keys` are the
/// indices as they were given; those outside [0, rows) are reported and become `rows`.
struct SortPass {
  const std::int32_t* keys;
  const std::int32_t* samples;
  std::int32_t* sorted_keys;
  std::int32_t* sorted_samples;
  std::uint32_t* counts;  ///< [kSortDigits, tiles], after the scan: first places
  std::int64_t count;
  std::int64_t tiles;
  std::int64_t rows;
  int shift;  ///< of this pass's digit
  FaultKind fault_kind;
  KernelFault* fault;
};

__device__ inline std::int32_t sort_key(const SortPass& pass, std::int64_t i, bool reports) {
  const std::int32_t key = pass.keys[i];
  if (pass.samples != nullptr || (key >= 0 && key < pass.rows)) return key;
  if (reports) report_fault(pass.fault, pass.fault_kind, key, i, pass.rows);
  return static_cast<std::int32_t>(pass.rows);
}

/// How many samples of each tile have each digit.
__global__ void __launch_bounds__(kSortThreads) sort_count_kernel(const SortPass pass) {
  __shared__ std::uint32_t counts[kSortDigits];
  counts[threadIdx.x] = 0;
  __syncthreads();
  const std::int64_t begin = std::int64_t{blockIdx.x} * kSortTile;
#pragma unroll
  for (int k = 0; k < kSortItems; ++k) {
    const std::int64_t i = begin + k * kSortThreads + threadIdx.x;
    if (i >= pass.count) break;
    const auto key = static_cast<std::uint32_t>(sort_key(pass, i, true));
    // Counts are the same in whatever order they are counted.
    atomicAdd(&counts[(key >> pass.shift) % kSortDigits], 1U);
  }
  __syncthreads();
  pass.counts[threadIdx.x * pass.tiles + blockIdx.x] = counts[threadIdx.x];
}

/// Replaces each of `size` counts by the sum of those before it. One block.
__global__ void __launch_bounds__(kSortScanThreads)
    sort_scan_kernel(std::uint32_t* counts, std::int64_t size) {
  __shared__ std::uint32_t of_warp[32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const auto add_up = [&](std::uint32_t value) {
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      const std::uint32_t before = __shfl_up_sync(kWholeWarp, value, distance);
      if (lane >= distance) value += before;
    }
    return value;
  };
  std::uint32_t carried = 0;
  for (std::int64_t begin = 0; begin < size; begin += kSortScanThreads) {
    const std::int64_t i = begin + threadIdx.x;
    const std::uint32_t own = i < size ? counts[i] : 0;
    const std::uint32_t in_warp = add_up(own);
    if (lane == 31) of_warp[warp] = in_warp;
    __syncthreads();
    const std::uint32_t warps = add_up(of_warp[lane]);
    const std::uint32_t before = __shfl_sync(kWholeWarp, warps, warp) - of_warp[warp];
    if (i < size) counts[i] = carried + before + in_warp - own;
    carried += __shfl_sync(kWholeWarp, warps, 31);
    __syncthreads();  // of_warp is written again
  }
}

/// Moves the samples of each tile to their places. A warp has 256 consecutive samples of the tile,
/// 32 at a time.
__global__ void __launch_bounds__(kSortThreads) sort_move_kernel(const SortPass pass) {
  constexpr int kWarps = kSortThreads / 32;
  __shared__ std::uint32_t places[kWarps][kSortDigits];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
#pragma unroll
  for (int k = 0; k < kSortDigits / 32; ++k) places[warp][k * 32 + lane] = 0;
  __syncwarp();

  const std::int64_t begin =
      std::int64_t{blockIdx.x} * kSortTile + warp * (kSortTile / kWarps) + lane;
  std::int32_t key[kSortItems];
  std::uint32_t rank[kSortItems];  // among the warp's samples of the same digit
#pragma unroll
  for (int k = 0; k < kSortItems; ++k) {
    const std::int64_t i = begin + k * 32;
    const bool inside = i < pass.count;
    key[k] = inside ? sort_key(pass, i, false) : -1;
    const std::uint32_t digit = (static_cast<std::uint32_t>(key[k]) >> pass.shift) % kSortDigits;
    // Lanes beyond the end are a kind of their own.
    const unsigned alike = __match_any_sync(kWholeWarp, inside ? digit : kSortDigits);
    const unsigned before = __popc(alike & ((1U << lane) - 1U));
    const std::uint32_t earlier = inside ? places[warp][digit] : 0;
    rank[k] = earlier + before;
    __syncwarp();
    if (inside && before == 0) places[warp][digit] = earlier + __popc(alike);
    __syncwarp();
  }
  __syncthreads();
  std::uint32_t place = pass.counts[threadIdx.x * pass.tiles + blockIdx.x];
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const std::uint32_t here = places[w][threadIdx.x];
    places[w][threadIdx.x] = place;
    place += here;
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kSortItems; ++k) {
    const std::int64_t i = begin + k * 32;
    if (i >= pass.count) break;
    const std::uint32_t digit = (static_cast<std::uint32_t>(key[k]) >> pass.shift) % kSortDigits;
    const std::uint32_t to = places[warp][digit] + rank[k];
    pass.sorted_keys[to] = key[k];
    pass.sorted_samples[to] =
        pass.samples == nullptr ? static_cast<std::int32_t>(i) : pass.samples[i];
  }
}

}  // namespace ingot::cuda
