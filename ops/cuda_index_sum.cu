// Sums of vectors by table row. Tables that fit into shared memory are summed there
// (cuda_index_table.cuh). For others, samples are sorted by row first (cuda_index_sort.cuh); then
// every row of the result belongs to threads that add its vectors in the order in which the samples
// stand, so that nothing is added atomically. The passes of the sort weigh little beside vectors of
// hundreds of elements; beside those of a dozen, of a table too large for shared memory, they move
// more bytes than the vectors have.
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
#include "ops/cuda_index_table.cuh"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {
namespace {

constexpr int kWindow = 64;
constexpr int kThreads = 256;
constexpr int kMostShared = 227 * 1024;  ///< of a block on any GPU

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
  int count;
  std::int64_t rows;
  int width;
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
  const int lane = static_cast<int>(threadIdx.x) % 32;
  for (std::int64_t first = std::int64_t{blockIdx.x} * kThreads; first < count;
       first += std::int64_t{gridDim.x} * kThreads) {
    const std::int64_t i = first + threadIdx.x;
    // No key is -1: beyond the ends, neighbours differ.
    const std::int32_t key = i < count ? keys[i] : -1;
    std::int32_t before = __shfl_up_sync(kWholeWarp, key, 1);
    std::int32_t after = __shfl_down_sync(kWholeWarp, key, 1);
    if (lane == 0) before = i == 0 || i > count ? -1 : keys[i - 1];
    if (lane == 31) after = i + 1 < count ? keys[i + 1] : -1;
    if (key < 0 || key >= rows) continue;
    if (before != key) ranges[key].begin = static_cast<std::int32_t>(i);
    if (after != key) ranges[key].end = static_cast<std::int32_t>(i + 1);
  }
}

/// The threads in x that share a row or window: a block's, or for narrow tables a power of two of a
/// warp's lanes, the warp's other lanes having others. Teams of a warp may go different ways.
struct Team {
  int size;       ///< lanes that exchange values, at most 32
  int lane;       ///< among them
  unsigned mask;  ///< of the warp's lanes

  __device__ Team() {
    size = min(static_cast<int>(blockDim.x), 32);
    lane = static_cast<int>(threadIdx.x) % size;
    const int in_warp = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x) % 32;
    mask = (kWholeWarp >> (32 - size)) << (in_warp - lane);
  }
  template <typename V>
  __device__ V broadcast(V value, int from) const {
    return __shfl_sync(mask, value, from, size);
  }
  __device__ Range broadcast(Range range, int from) const {
    return {broadcast(range.begin, from), broadcast(range.end, from)};
  }
};

/// sum += columns [c, c + N) of the vectors of places [begin, end), in this order. A lane reads the
/// place of one sample for the team. Lanes with c beyond the width read nothing.
template <int N, typename T>
__device__ inline void add_places(const Sums<T>& sums, const Team& team, int begin, int end, int c,
                                  float (&sum)[N]) {
  for (int first = begin; first < end; first += team.size) {
    const int here = min(end - first, team.size);
    std::int64_t own = 0;
    if (team.lane < here) {
      const auto sample = static_cast<std::uint32_t>(sums.samples[first + team.lane]);
      const std::uint32_t major = sums.group.divide(sample);
      const std::uint32_t minor = sample - major * sums.group.value();
      own = major * sums.stride + minor * std::int64_t{sums.width};
    }
#pragma unroll 4
    for (int k = 0; k < here; ++k) {
      const std::int64_t at = team.broadcast(own, k);
      if (c >= sums.width) continue;
      float values[N];
      load_floats(sums.from + at + c, values);
#pragma unroll
      for (int i = 0; i < N; ++i) sum[i] += values[i];
    }
  }
}

/// Block (x over columns, y over windows).
template <int N, typename T>
__global__ void __launch_bounds__(kThreads, 4) sum_windows_kernel(const Sums<T> sums) {
  const Team team;
  const auto window = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  const int first = window * kWindow;
  if (first >= sums.count) return;
  const int end = min(first + kWindow, sums.count);
  for (int slot = 0; slot < 2; ++slot) {
    Range range{0, 0};
    if (team.lane == 0) {
      const std::int32_t key = sums.keys[slot == 0 ? first : end - 1];
      if (key < sums.rows) range = sums.ranges[key];
    }
    range = team.broadcast(range, 0);
    if (range.end - range.begin <= kWindow || (slot == 1 && range.begin <= first)) continue;
    float* to = sums.partials + (std::int64_t{window} * 2 + slot) * sums.width;
    for (int base = 0; base < sums.width; base += static_cast<int>(blockDim.x) * N) {
      const int c = base + static_cast<int>(threadIdx.x) * N;
      float sum[N] = {};
      add_places(sums, team, max(first, range.begin), min(end, range.end), c, sum);
      if (c < sums.width) store_floats(to + c, sum);
    }
  }
}

/// Block (x over columns, y over groups of `row_group` rows, at most a team's lanes: a lane reads
/// the range of one row for the team).
template <int N, typename T>
__global__ void __launch_bounds__(kThreads, 4) sum_rows_kernel(const Sums<T> sums, int row_group) {
  const Team team;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.y * row_group;
  for (std::int64_t group = (std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y) * row_group;
       group < sums.rows; group += stride) {
    const int here = static_cast<int>(min(std::int64_t{row_group}, sums.rows - group));
    Range own{0, 0};
    if (team.lane < here) own = sums.ranges[group + team.lane];
    for (int r = 0; r < here; ++r) {
      const Range range = team.broadcast(own, r);
      if (range.begin == range.end && sums.accumulate) continue;
      float* to = sums.to + (group + r) * sums.width;
      for (int base = 0; base < sums.width; base += static_cast<int>(blockDim.x) * N) {
        const int c = base + static_cast<int>(threadIdx.x) * N;
        float sum[N] = {};
        if (sums.accumulate && c < sums.width) load_floats(to + c, sum);
        if (range.end - range.begin <= kWindow) {
          add_places(sums, team, range.begin, range.end, c, sum);
        } else if (c < sums.width) {
          for (int window = range.begin / kWindow; window * kWindow < range.end; ++window) {
            const int slot = window * kWindow < range.begin ? 1 : 0;
            float part[N];
            load_floats(sums.partials + (std::int64_t{window} * 2 + slot) * sums.width + c, part);
#pragma unroll
            for (int i = 0; i < N; ++i) sum[i] += part[i];
          }
        }
        if (c < sums.width) store_floats(to + c, sum);
      }
    }
  }
}

template <int N, typename T>
void sum_as(const CudaLaunch& launch, const Sums<T>& sums) {
  const std::int64_t vectors = pieces_of(sums.width, N);
  unsigned across = 1;
  if (vectors <= 16) {
    while (across < vectors) across *= 2;
  } else {
    across = static_cast<unsigned>(std::min<std::int64_t>(kThreads, (vectors + 31) / 32 * 32));
  }
  const dim3 block(across, kThreads / across);
  if (sums.count > kWindow) {
    const auto blocks = static_cast<unsigned>(pieces_of(pieces_of(sums.count, kWindow), block.y));
    sum_windows_kernel<N><<<blocks, block, 0, launch.stream>>>(sums);
  }
  // Ranges of eight rows fill sectors, where that leaves enough work for all multiprocessors.
  const std::int64_t most = std::min<std::int64_t>(8, across);
  const auto row_group = static_cast<int>(std::clamp<std::int64_t>(
      sums.rows / (std::int64_t{8} * launch.multiprocessors * block.y), 1, most));
  const std::int64_t pieces = pieces_of(sums.rows, std::int64_t{row_group} * block.y);
  sum_rows_kernel<N><<<launch.blocks(pieces, 16), block, 0, launch.stream>>>(sums, row_group);
}

}  // namespace

std::int64_t index_sum_workspace_bytes(std::int64_t count, std::int64_t rows, std::int64_t width) {
  const std::int64_t sorted = Layout(count, rows, width).bytes;
  // Whether the table fits depends on the GPU and on where vectors lie.
  const std::int64_t table = rows * width * 4;
  if (table > kMostShared) return sorted;
  return std::max(sorted, table * TablePlan(count, rows, width, false).chunks);
}

/// Whether it was done.
template <typename T>
bool sum_in_shared_memory(const CudaLaunch& launch,
                          const typename IndexSumKernels<T>::Arguments& arguments) {
  const bool pairs = arguments.width % 2 == 0 && arguments.stride % 2 == 0 &&
                     aligned(2 * sizeof(T), arguments.from) && aligned(8, arguments.to);
  const TablePlan plan(arguments.count, arguments.rows, arguments.width, pairs);
  if (plan.shared_bytes() > std::min(launch.shared_bytes - 1024, kMostShared)) return false;
  const TableSums<T> sums{arguments.indices,
                          arguments.count,
                          plan.chunk,
                          static_cast<int>(arguments.rows),
                          static_cast<int>(arguments.width),
                          plan.team,
                          plan.pitch,
                          plan.copies,
                          static_cast<int>(plan.copy_rows),
                          arguments.from,
                          Divisor(arguments.group),
                          arguments.stride,
                          arguments.to,
                          arguments.accumulate,
                          arguments.fault,
                          launch.fault};
  auto* tables = static_cast<float*>(arguments.workspace);
  if (plan.columns == 2) {
    sum_in_tables<2>(launch, plan, sums, tables);
  } else {
    sum_in_tables<1>(launch, plan, sums, tables);
  }
  return true;
}

template <typename T>
void IndexSumKernels<T>::run(const CudaLaunch& launch, const Arguments& arguments) {
  if (arguments.rows * arguments.width == 0) return;
  if (sum_in_shared_memory<T>(launch, arguments)) return;
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
    for (; pass.shift < 32 && (arguments.rows >> pass.shift) != 0; pass.shift += kSortBits) {
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
                     static_cast<int>(count),
                     arguments.rows,
                     static_cast<int>(arguments.width),
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
