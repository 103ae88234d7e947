// Sorts the samples of a scatter by table row, stable: samples of a row stay in the order in which
// they stand. A radix sort, least significant digit first; every sample's place follows from
// counts, so nothing depends on the order in which threads run.
//
// Digits have five bits, so that each of them belongs to a lane of a warp: lanes count and rank by
// ballots, and what lies in shared memory is read and written in the order of lanes. Digits of
// eight bits take fewer passes (two, not four, for a vocabulary of 50257), but counters that they
// scatter meet on banks; beside the vectors that are added, the passes weigh little.
#pragma once

#include "ops/cuda_fault.cuh"
#include "ops/cuda_reduce.cuh"

namespace ingot::cuda {

constexpr int kSortThreads = 256;
constexpr int kSortItems = 8;                         ///< of a thread
constexpr int kSortTile = kSortThreads * kSortItems;  ///< samples of a block
constexpr int kSortWarps = kSortThreads / 32;
constexpr int kSortBits = 5;  ///< of a digit
constexpr int kSortDigits = 1 << kSortBits;
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

/// Which lanes have which digit, without shared memory: counters of 32 digits are 32 lanes' own
/// registers. Every lane of the warp takes part.
class WarpDigits {
 public:
  __device__ WarpDigits(std::uint32_t digit, bool inside) {
    inside_ = __ballot_sync(kWholeWarp, inside);
#pragma unroll
    for (int bit = 0; bit < kSortBits; ++bit) {
      bits_[bit] = __ballot_sync(kWholeWarp, (digit >> bit & 1U) != 0);
    }
  }
  /// The lanes inside that have this digit.
  __device__ unsigned lanes_of(std::uint32_t digit) const {
    unsigned lanes = inside_;
#pragma unroll
    for (int bit = 0; bit < kSortBits; ++bit) {
      lanes &= (digit >> bit & 1U) != 0 ? bits_[bit] : ~bits_[bit];
    }
    return lanes;
  }

 private:
  unsigned inside_;
  unsigned bits_[kSortBits];
};

__device__ inline std::uint32_t digit_of(const SortPass& pass, std::int32_t key) {
  return (static_cast<std::uint32_t>(key) >> pass.shift) % kSortDigits;
}

/// How many samples of each tile have each digit.
__global__ void __launch_bounds__(kSortThreads, 4) sort_count_kernel(const SortPass pass) {
  __shared__ std::uint32_t counts[kSortWarps][kSortDigits];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t begin = std::int64_t{blockIdx.x} * kSortTile;
  std::uint32_t own = 0;  // of the digit that is the lane's number
#pragma unroll
  for (int k = 0; k < kSortItems; ++k) {
    const std::int64_t i = begin + k * kSortThreads + threadIdx.x;
    const bool inside = i < pass.count;
    const std::int32_t key = inside ? sort_key(pass, i, true) : 0;
    own += __popc(WarpDigits(digit_of(pass, key), inside).lanes_of(lane));
  }
  counts[warp][lane] = own;
  __syncthreads();
  if (warp != 0) return;
#pragma unroll
  for (int w = 1; w < kSortWarps; ++w) own += counts[w][lane];
  pass.counts[lane * pass.tiles + blockIdx.x] = own;
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
  __shared__ std::uint32_t places[kSortWarps][kSortDigits];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t begin =
      std::int64_t{blockIdx.x} * kSortTile + warp * (kSortTile / kSortWarps) + lane;
  std::int32_t key[kSortItems];
  std::uint32_t rank[kSortItems];  // among the warp's samples of the same digit
  std::uint32_t own = 0;           // samples so far of the digit that is the lane's number
#pragma unroll
  for (int k = 0; k < kSortItems; ++k) {
    const std::int64_t i = begin + k * 32;
    const bool inside = i < pass.count;
    key[k] = inside ? sort_key(pass, i, false) : 0;
    const std::uint32_t digit = digit_of(pass, key[k]);
    const WarpDigits digits(digit, inside);
    rank[k] = __shfl_sync(kWholeWarp, own, static_cast<int>(digit)) +
              __popc(digits.lanes_of(digit) & ((1U << lane) - 1U));
    own += __popc(digits.lanes_of(lane));
  }
  places[warp][lane] = own;
  __syncthreads();
  if (warp == 0) {
    std::uint32_t place = pass.counts[lane * pass.tiles + blockIdx.x];
#pragma unroll
    for (int w = 0; w < kSortWarps; ++w) {
      const std::uint32_t here = places[w][lane];
      places[w][lane] = place;
      place += here;
    }
  }
  __syncthreads();
  const std::uint32_t first = places[warp][lane];
#pragma unroll
  for (int k = 0; k < kSortItems; ++k) {
    const auto digit = static_cast<int>(digit_of(pass, key[k]));
    const std::uint32_t to = __shfl_sync(kWholeWarp, first, digit) + rank[k];
    const std::int64_t i = begin + k * 32;
    if (i >= pass.count) continue;
    pass.sorted_keys[to] = key[k];
    pass.sorted_samples[to] =
        pass.samples == nullptr ? static_cast<std::int32_t>(i) : pass.samples[i];
  }
}

}  // namespace ingot::cuda
