// Sums of vectors by table row. Samples are sorted by row first (cuda_index_sort.cuh); then every
// row of the result belongs to threads that add its vectors in the order in which the samples
// stand, so that nothing is added atomically.
//
// A row with more than kWindow samples (a frequent token) would keep its threads busy long after
// all others are done. Windows of kWindow places of the sorted samples therefore sum their part of
// such a row to the workspace first. A window lies in at most two of these rows: one that covers
// its first place (slot 0), and one that begins later and covers its last (slot 1).
#include <cstddef>
#include <utility>

#include "ops/cuda_divisor.cuh"
#include "ops/cuda_index_sort.cuh"
#include "ops/cuda_index_sum.hpp"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {
namespace {

constexpr int kWindow = 64;
constexpr int kThreads = 256;

/// Places [begin, end) of the sorted samples.
struct Range {
  std::int32_t begin;
  std::int32_t end;
};

constexpr std::int64_t rounded(std::int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

/// Where things lie in the workspace.
struct Layout {
  std::int64_t keys[2];
  std::int64_t samples[2];
  std::int64_t counts;
  std::int64_t ranges;
  std::int64_t partials;
  std::int64_t bytes;

  Layout(std::int64_t count, std::int64_t rows, std::int64_t width) {
    std::int64_t at = 0;
    const auto take = [&](std::int64_t size) { return std::exchange(at, at + rounded(size)); };
    for (std::int64_t& part : keys) part = take(count * 4);
    for (std::int64_t& part : samples) part = take(count * 4);
    counts = take(kSortDigits * pieces_of(count, kSortTile) * 4);
    ranges = take(rows * static_cast<std::int64_t>(sizeof(Range)));
    partials = take(count > kWindow ? pieces_of(count, kWindow) * 2 * width * 4 : 0);
    bytes = at;
  }
};

template <typename T>
struct Sums {
  const std::int32_t* keys;     ///< [count], sorted
  const std::int32_t* samples;  ///< [count], in the order of keys
  Range* ranges;                ///< [rows]
  float* partials;              ///< [windows, 2, width]
  std::int64_t count;
  std::int64_t rows;
  std::int64_t width;
  const T* from;
  Divisor group;
  std::int64_t stride;
  float* to;
  bool accumulate;
};

/// Where each row's samples begin and end. The ranges of all rows were zeroed before.
__global__ void __launch_bounds__(kThreads)
    find_ranges_kernel(const std::int32_t* keys, std::int64_t count, std::int64_t rows,
                       Range* ranges) {
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * kThreads) {
    const std::int32_t key = keys[i];
    if (key >= rows) continue;
    if (i == 0 || keys[i - 1] != key) ranges[key].begin = static_cast<std::int32_t>(i);
    if (i == count - 1 || keys[i + 1] != key) ranges[key].end = static_cast<std::int32_t>(i + 1);
  }
}

/// sum += columns [c, c + N) of the vectors of places [begin, end), in this order. Called by whole
/// warps: a lane reads the place of one sample for all. Lanes with c beyond the width read nothing.
template <int N, typename T>
__device__ inline void add_places(const Sums<T>& sums, std::int64_t begin, std::int64_t end,
                                  std::int64_t c, float (&sum)[N]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t first = begin; first < end; first += 32) {
    const int here = static_cast<int>(min(end - first, std::int64_t{32}));
    std::int64_t own = 0;
    if (lane < here) {
      const auto sample = static_cast<std::uint32_t>(sums.samples[first + lane]);
      const std::uint32_t major = sums.group.divide(sample);
      const std::uint32_t minor = sample - major * sums.group.value();
      own = major * sums.stride + minor * sums.width;
    }
#pragma unroll 4
    for (int k = 0; k < here; ++k) {
      const std::int64_t at = __shfl_sync(kWholeWarp, own, k);
      if (c >= sums.width) continue;
      float values[N];
      load_floats(sums.from + at + c, values);
#pragma unroll
      for (int i = 0; i < N; ++i) sum[i] += values[i];
    }
  }
}

__device__ inline Range range_of(const Range* ranges, std::int64_t row) {
  Range range{0, 0};
  if (threadIdx.x % 32 == 0) range = ranges[row];
  range.begin = __shfl_sync(kWholeWarp, range.begin, 0);
  range.end = __shfl_sync(kWholeWarp, range.end, 0);
  return range;
}

/// Block (x over columns, y over windows). x is a multiple of 32.
template <int N, typename T>
__global__ void __launch_bounds__(kThreads, 4) sum_windows_kernel(const Sums<T> sums) {
  const std::int64_t windows = (sums.count + kWindow - 1) / kWindow;
  const std::int64_t window = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (window >= windows) return;
  const std::int64_t first = window * kWindow;
  const std::int64_t end = min(first + kWindow, sums.count);
  for (int slot = 0; slot < 2; ++slot) {
    std::int32_t key = 0;
    if (threadIdx.x % 32 == 0) key = sums.keys[slot == 0 ? first : end - 1];
    key = __shfl_sync(kWholeWarp, key, 0);
    if (key >= sums.rows) continue;
    const Range range = range_of(sums.ranges, key);
    if (range.end - range.begin <= kWindow || (slot == 1 && range.begin <= first)) continue;
    float* to = sums.partials + (window * 2 + slot) * sums.width;
    for (std::int64_t begin = 0; begin < sums.width; begin += std::int64_t{blockDim.x} * N) {
      const std::int64_t c = begin + threadIdx.x * N;
      float sum[N] = {};
      add_places(sums, max(first, std::int64_t{range.begin}), min(end, std::int64_t{range.end}), c,
                 sum);
      if (c < sums.width) store_floats(to + c, sum);
    }
  }
}

/// Block (x over columns, y over rows). x is a multiple of 32.
template <int N, typename T>
__global__ void __launch_bounds__(kThreads, 4) sum_rows_kernel(const Sums<T> sums) {
  for (std::int64_t row = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < sums.rows;
       row += std::int64_t{gridDim.x} * blockDim.y) {
    const Range range = range_of(sums.ranges, row);
    if (range.begin == range.end && sums.accumulate) continue;
    float* to = sums.to + row * sums.width;
    for (std::int64_t begin = 0; begin < sums.width; begin += std::int64_t{blockDim.x} * N) {
      const std::int64_t c = begin + threadIdx.x * N;
      float sum[N] = {};
      if (sums.accumulate && c < sums.width) load_floats(to + c, sum);
      if (range.end - range.begin <= kWindow) {
        add_places(sums, range.begin, range.end, c, sum);
      } else if (c < sums.width) {
        for (std::int64_t window = range.begin / kWindow; window * kWindow < range.end; ++window) {
          const int slot = window * kWindow < range.begin ? 1 : 0;
          float part[N];
          load_floats(sums.partials + (window * 2 + slot) * sums.width + c, part);
#pragma unroll
          for (int i = 0; i < N; ++i) sum[i] += part[i];
        }
      }
      if (c < sums.width) store_floats(to + c, sum);
    }
  }
}

template <int N, typename T>
void sum_as(const CudaLaunch& launch, const Sums<T>& sums) {
  const auto across = static_cast<unsigned>(
      std::min<std::int64_t>(kThreads, (pieces_of(sums.width, N) + 31) / 32 * 32));
  const dim3 block(across, kThreads / across);
  if (sums.count > kWindow) {
    const auto blocks = static_cast<unsigned>(pieces_of(pieces_of(sums.count, kWindow), block.y));
    sum_windows_kernel<N><<<blocks, block, 0, launch.stream>>>(sums);
  }
  sum_rows_kernel<N>
      <<<launch.blocks(pieces_of(sums.rows, block.y), 16), block, 0, launch.stream>>>(sums);
}

}  // namespace

std::int64_t index_sum_workspace_bytes(std::int64_t count, std::int64_t rows, std::int64_t width) {
  return Layout(count, rows, width).bytes;
}

template <typename T>
void IndexSumKernels<T>::run(const CudaLaunch& launch, const Arguments& arguments) {
  if (arguments.rows * arguments.width == 0) return;
  const std::int64_t count = arguments.count;
  const Layout layout(count, arguments.rows, arguments.width);
  auto* memory = static_cast<std::byte*>(arguments.workspace);
  const auto ints = [&](std::int64_t at) { return reinterpret_cast<std::int32_t*>(memory + at); };
  auto* ranges = reinterpret_cast<Range*>(memory + layout.ranges);
  (void)cudaMemsetAsync(ranges, 0, static_cast<std::size_t>(arguments.rows) * sizeof(Range),
                        launch.stream);
  int to = 1;  // of two buffers
  if (count > 0) {
    SortPass pass{};
    pass.keys = arguments.indices;
    pass.counts = reinterpret_cast<std::uint32_t*>(memory + layout.counts);
    pass.count = count;
    pass.tiles = pieces_of(count, kSortTile);
    pass.rows = arguments.rows;
    pass.fault_kind = arguments.fault;
    pass.fault = launch.fault;
    const auto tiles = static_cast<unsigned>(pass.tiles);
    // Keys go up to `rows`, which stands for indices outside the table.
    for (; pass.shift < 32 && (arguments.rows >> pass.shift) != 0; pass.shift += 8) {
      to = 1 - to;
      pass.sorted_keys = ints(layout.keys[to]);
      pass.sorted_samples = ints(layout.samples[to]);
      sort_count_kernel<<<tiles, kSortThreads, 0, launch.stream>>>(pass);
      sort_scan_kernel<<<1, kSortScanThreads, 0, launch.stream>>>(pass.counts,
                                                                  kSortDigits * pass.tiles);
      sort_move_kernel<<<tiles, kSortThreads, 0, launch.stream>>>(pass);
      pass.keys = pass.sorted_keys;
      pass.samples = pass.sorted_samples;
    }
    find_ranges_kernel<<<launch.blocks(pieces_of(count, kThreads), 8), kThreads, 0,
                         launch.stream>>>(pass.keys, count, arguments.rows, ranges);
  }
  const Sums<T> sums{ints(layout.keys[to]),
                     ints(layout.samples[to]),
                     ranges,
                     reinterpret_cast<float*>(memory + layout.partials),
                     count,
                     arguments.rows,
                     arguments.width,
                     arguments.from,
                     Divisor(arguments.group),
                     arguments.stride,
                     arguments.to,
                     arguments.accumulate};
  // Four columns are 16 bytes of the sums.
  const bool whole = arguments.width % 4 == 0 && arguments.stride % 4 == 0 &&
                     aligned(4 * sizeof(T), arguments.from) && aligned(16, arguments.to);
  if (whole) {
    sum_as<4>(launch, sums);
  } else {
    sum_as<1>(launch, sums);
  }
}

template struct IndexSumKernels<float>;
template struct IndexSumKernels<Bf16>;

}  // namespace ingot::cuda
