// Sums of vectors by table row where a table fits into shared memory, without sorting: a block
// takes a chunk of samples, keeps a table of partial sums and writes it, and a second kernel adds
// the chunks' tables in the order of chunks. Indices and vectors are read once; all that comes on
// top is a table written and read per chunk.
//
// Nothing is added atomically: every row belongs to one team of lanes, who add what belongs to it
// in an order that only shapes and indices determine. Every warp looks through the indices of a
// tile and queues those of its own rows. No two lanes meet on a bank: the teams of a warp own rows
// of different remainders, which lie on different banks. Small tables are kept several times, so
// that many teams share the samples of a row.
//
// A row that a large part of the samples has keeps one team busy while others wait; and with few
// samples for each row, chunks are made smaller than bytes alone would ask for (TablePlan).
#pragma once

#include <algorithm>

#include "ops/cuda_divisor.cuh"
#include "ops/cuda_fault.cuh"
#include "ops/cuda_reduce.cuh"
#include "ops/cuda_vector.cuh"

namespace ingot::cuda {

constexpr int kTableThreads = 512;
constexpr int kTableWarps = kTableThreads / 32;
constexpr int kTableTile = 2048;  ///< samples whose indices a block keeps
constexpr int kTableQueue = 64;   ///< of a warp: fewer than 32 waiting, and up to 32 more
constexpr int kTableAtOnce = 8;   ///< vectors in flight of a team
constexpr int kTableGroup = 128;  ///< samples that a warp looks through at once
constexpr std::int64_t kTableCopied = 16384;  ///< floats of small tables' copies
constexpr unsigned kNoOwner = 127;            ///< no warp's number

/// How a table is cut; by shapes only, so that sums are the same on every GPU that keeps it.
struct TablePlan {
  std::int64_t chunk = 0;  ///< samples of a block, a multiple of kTableTile
  std::int64_t chunks = 0;
  int columns = 1;  ///< at once of a lane
  int team = 8;     ///< lanes
  int pitch = 0;    ///< floats of a row in shared memory
  int copies = 1;   ///< of the table; sample s is added to copy s % copies
  std::int64_t copy_rows = 0;

  TablePlan(std::int64_t count, std::int64_t rows, std::int64_t width, bool pairs) {
    columns = pairs && width > 8 ? 2 : 1;
    while (team < 32 && team * columns < width) team *= 2;
    pitch = static_cast<int>(std::max<std::int64_t>(team * columns, width));
    copy_rows = pieces_of(rows, 4) * 4;
    while (copies < 32 && 2 * copies * copy_rows * pitch <= kTableCopied) copies *= 2;
    // Tables weigh less than a tenth of bf16 vectors where a row has some 40 samples of a chunk. So
    // few chunks would leave a GPU idle; at least twelve are made of enough samples.
    const std::int64_t light = count / (40 * std::max<std::int64_t>(rows, 1));
    const std::int64_t busy = std::min<std::int64_t>(12, count / (4 * kTableTile));
    const std::int64_t wanted = std::clamp<std::int64_t>(std::max(light, busy), 1, 128);
    chunk = std::max<std::int64_t>(pieces_of(pieces_of(count, wanted), kTableTile), 1) * kTableTile;
    chunks = std::max<std::int64_t>(pieces_of(count, chunk), 1);
  }
  std::int64_t shared_bytes() const {
    return (kTableTile + kTableTile / 4 + kTableWarps * kTableQueue + copies * copy_rows * pitch) *
           4;
  }
};

template <typename T>
struct TableSums {
  const std::int32_t* indices;  ///< [count]
  std::int64_t count;
  std::int64_t chunk;
  int rows;
  int width;
  int team;
  int pitch;
  int copies;
  int copy_rows;
  const T* from;
  Divisor group;
  std::int64_t stride;
  float* to;        ///< [chunks, rows, width]
  bool accumulate;  ///< where there is one chunk, whose table is the result
  FaultKind fault_kind;
  KernelFault* fault;
};

/// N columns at once of a lane.
template <int N, typename T>
__global__ void __launch_bounds__(kTableThreads, 1) sum_table_kernel(const TableSums<T> sums) {
  extern __shared__ std::uint32_t table_memory[];
  std::uint32_t* rows_of = table_memory;         // [kTableTile]
  std::uint32_t* owners = rows_of + kTableTile;  // [kTableTile] bytes
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  std::uint32_t* queue = owners + kTableTile / 4 + warp * kTableQueue;
  auto* table = reinterpret_cast<float*>(owners + kTableTile / 4 + kTableWarps * kTableQueue);
  const int teams = 32 / sums.team;  // a power of two
  const int teams_bits = __ffs(teams) - 1;
  const int team = lane / sums.team;
  const int column = lane % sums.team * N;
  for (int i = static_cast<int>(threadIdx.x); i < sums.copies * sums.copy_rows * sums.pitch;
       i += kTableThreads) {
    table[i] = 0;
  }

  // Adds the vectors of `waiting` <= 32 queued samples of the tile that begins at `first`.
  const auto add_queued = [&](std::int64_t first, int head, int waiting) {
    std::uint32_t row = 0;
    std::int64_t own = 0;
    if (lane < waiting) {
      const std::uint32_t entry = queue[(head + lane) % kTableQueue];
      row = entry / kTableTile;
      const auto sample = static_cast<std::uint32_t>(first) + entry % kTableTile;
      const std::uint32_t major = sums.group.divide(sample);
      own = major * sums.stride + (sample - major * sums.group.value()) * std::int64_t{sums.width};
    }
    unsigned left = 0;  // lanes that hold samples of the team's rows
    for (int t = 0; t < teams; ++t) {
      const bool here = lane < waiting && (static_cast<int>(row) & (teams - 1)) == t;
      const unsigned lanes = __ballot_sync(kWholeWarp, here);
      if (t == team) left = lanes;
    }
    while (__any_sync(kWholeWarp, left != 0)) {
      int rows[kTableAtOnce];
      std::int64_t at[kTableAtOnce];
#pragma unroll
      for (int k = 0; k < kTableAtOnce; ++k) {
        const int source = left != 0 ? __ffs(static_cast<int>(left)) - 1 : 0;
        rows[k] = static_cast<int>(__shfl_sync(kWholeWarp, row, source));
        at[k] = __shfl_sync(kWholeWarp, own, source);
        if (left == 0) rows[k] = -1;
        left &= left - 1;
      }
      for (int c = column; c < sums.width; c += sums.team * N) {
        float values[kTableAtOnce][N];
#pragma unroll
        for (int k = 0; k < kTableAtOnce; ++k) {
          if (rows[k] >= 0) load_floats(sums.from + at[k] + c, values[k]);
        }
#pragma unroll
        for (int k = 0; k < kTableAtOnce; ++k) {
          if (rows[k] < 0) break;
          float* place = table + rows[k] * sums.pitch + c;
          float sum[N];
          load_floats(place, sum);
#pragma unroll
          for (int i = 0; i < N; ++i) sum[i] += values[k][i];
          store_floats_shared(place, sum);
        }
      }
    }
  };

  const std::int64_t begin = blockIdx.x * sums.chunk;
  const std::int64_t end = min(begin + sums.chunk, sums.count);
  for (std::int64_t first = begin; first < end; first += kTableTile) {
    // Four samples of a thread, whose owners share a word.
    const int group = static_cast<int>(threadIdx.x) / 32 * kTableGroup;
    std::uint32_t word = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const std::int64_t i = first + group + j * 32 + lane;
      std::uint32_t owner = kNoOwner;
      if (i < end) {
        const std::int32_t row =
            checked_index(sums.fault, sums.fault_kind, sums.indices[i], i, sums.rows);
        const int kept = lane % sums.copies * sums.copy_rows + row;
        rows_of[group + j * 32 + lane] = static_cast<std::uint32_t>(kept);
        if (row >= 0) owner = static_cast<std::uint32_t>(kept >> teams_bits) % kTableWarps;
      }
      word |= owner << (8 * j);
    }
    owners[threadIdx.x] = word;
    __syncthreads();
    int head = 0;
    int waiting = 0;
    const std::uint32_t mine = 0x01010101U * static_cast<unsigned>(warp);
    const int here = static_cast<int>(min(end - first, std::int64_t{kTableTile}));
    for (int g = 0; g < here; g += kTableGroup) {
      // The highest bit of every byte that is this warp's number; bytes are less than 128.
      std::uint32_t found = (0x80808080U - (owners[g / 4 + lane] ^ mine)) & 0x80808080U;
      for (unsigned lanes; (lanes = __ballot_sync(kWholeWarp, found != 0)) != 0;) {
        if (found != 0) {
          const int sample = g + (__ffs(static_cast<int>(found)) - 8) / 8 * 32 + lane;
          const int place = head + waiting + __popc(lanes & ((1U << lane) - 1U));
          queue[place % kTableQueue] =
              rows_of[sample] * kTableTile + static_cast<std::uint32_t>(sample);
          found &= found - 1;
        }
        waiting += __popc(lanes);
        __syncwarp();
        if (waiting < 32) continue;
        add_queued(first, head, 32);
        head += 32;
        waiting -= 32;
        __syncwarp();  // places of the queue are written again
      }
    }
    add_queued(first, head, waiting);
    __syncthreads();  // the indices are written again
  }
  __syncthreads();

  float* to = sums.to + blockIdx.x * std::int64_t{sums.rows} * sums.width;
  const int across = sums.pitch / N;
  for (int i = static_cast<int>(threadIdx.x); i < sums.rows * across; i += kTableThreads) {
    const int row = i / across;
    const int piece = i % across;
    if (piece * N >= sums.width) continue;
    float values[N] = {};
    for (int copy = 0; copy < sums.copies; ++copy) {
      float own[N];
      load_floats(table + copy * sums.copy_rows * sums.pitch + i * N, own);
#pragma unroll
      for (int k = 0; k < N; ++k) values[k] += own[k];
    }
    float* place = to + std::int64_t{row} * sums.width + piece * N;
    if (sums.accumulate) {
      float before[N];
      load_floats(place, before);
#pragma unroll
      for (int k = 0; k < N; ++k) values[k] += before[k];
    }
    store_floats(place, values);
  }
}

/// to = (accumulate: to +) the sum of `chunks` tables of `size` elements, N of a thread.
template <int N>
__global__ void __launch_bounds__(256)
    sum_tables_kernel(const float* tables, std::int64_t chunks, std::int64_t size, float* to,
                      bool accumulate) {
  for (std::int64_t i = (std::int64_t{blockIdx.x} * 256 + threadIdx.x) * N; i < size;
       i += std::int64_t{gridDim.x} * 256 * N) {
    float sum[N] = {};
    if (accumulate) load_floats(to + i, sum);
#pragma unroll 8
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      float values[N];
      load_floats(tables + chunk * size + i, values);
#pragma unroll
      for (int k = 0; k < N; ++k) sum[k] += values[k];
    }
    store_floats(to + i, sum);
  }
}

/// Launches both; `tables` has room for chunks * rows * width floats where there are several
/// chunks.
template <int N, typename T>
void sum_in_tables(const CudaLaunch& launch, const TablePlan& plan, TableSums<T> sums,
                   float* tables) {
  float* to = sums.to;
  const bool accumulate = sums.accumulate;
  if (plan.chunks > 1) {
    sums.to = tables;
    sums.accumulate = false;
  }
  const auto kernel = sum_table_kernel<N, T>;
  const auto shared = static_cast<std::size_t>(plan.shared_bytes());
  (void)cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared));
  kernel<<<static_cast<unsigned>(plan.chunks), kTableThreads, shared, launch.stream>>>(sums);
  if (plan.chunks == 1) return;
  const std::int64_t size = std::int64_t{sums.rows} * sums.width;
  if (size % 4 == 0 && aligned(16, to, tables)) {
    sum_tables_kernel<4><<<launch.blocks(pieces_of(size, 1024), 8), 256, 0, launch.stream>>>(
        tables, plan.chunks, size, to, accumulate);
  } else {
    sum_tables_kernel<1><<<launch.blocks(pieces_of(size, 256), 8), 256, 0, launch.stream>>>(
        tables, plan.chunks, size, to, accumulate);
  }
}

}  // namespace ingot::cuda
