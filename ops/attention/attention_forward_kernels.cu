// Attention forward on tensor cores: FlashAttention (Dao et al., 2022, with the work split of
// FlashAttention-2, Dao, 2023). A block owns kRows queries of one head and walks over the keys they
// see in tiles of kKeys; scores live in registers only, with a running maximum and sum per row.
//
// Each warp owns 16 * kRowTiles rows and all keys of a tile, so that warps share K and V but
// exchange nothing, and every fragment of K and V that is loaded serves kRowTiles products. Tiles
// of K and V are double-buffered: the copy of the next one runs under the products of this one,
// with one barrier per tile. Blocks with the most keys start first.
//
//              rows x keys   warps  shared memory               registers of ptxas 13.0, no spills
//   head  64   128  x  64      4    Q 16, K and V 2 x 16 KiB    223 to 242: two blocks of threads
//   head 128   128  x  32      4    Q 32, K and V 2 x 16 KiB    241 to 255  per multiprocessor
//
// Global memory: Q and out once, K and V once per block of queries that sees them, log_sum_exp
// once; nothing else but the documents. Of T tokens without documents, in tiles of M = 128 rows, a
// head reads T D elements of Q and (T / M)(T / M + 1) / 2 * M * 2 D of K and V: the algorithm's
// minimum for these tiles. Counted under gpusim: exactly these bytes, no bank conflicts, 1.06
// to 1.12 times the tensor-core operations of the visible scores at 512 tokens
// (tests/ops/CUDA_KERNELS.md). Times on a GPU have not been measured.
#include "ops/attention/attention_dropout.cuh"
#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_mma.cuh"
#include "ops/attention/attention_rows.cuh"

namespace ingot::cuda {

namespace {

template <int kHead>
struct ForwardShape {
  static constexpr int kWarps = 4;
  static constexpr int kRowTiles = 2;
  static constexpr int kKeys = kHead == 64 ? 64 : 32;
  /// Whether fragments of Q stay in registers; else they are loaded again for every tile.
  static constexpr bool kKeepQueries = kHead == 64;
  static constexpr int kKeptSteps = kKeepQueries ? kHead / 16 : 1;
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kWarpRows = 16 * kRowTiles;
  static constexpr int kRows = kWarps * kWarpRows;
  static constexpr int kQueryBytes = Tile<kHead>::bytes(kRows);
  static constexpr int kKeyBytes = Tile<kHead>::bytes(kKeys);
  static constexpr int kSharedBytes = kQueryBytes + 4 * kKeyBytes;
};

/// Scores of 16 rows become unnormalised probabilities. `maximum` and `sum` are of the lane's two
/// rows; `sum` only of its own columns. Earlier results are scaled to the new maximum.
template <int kTiles, int kOutTiles>
__device__ __forceinline__ void softmax_step(float (&scores)[kTiles][4], float (&out)[kOutTiles][4],
                                             float (&maximum)[2], float (&sum)[2], float scale) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = maximum[half];
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    }
    largest = row_maximum(largest);
    // A row that has seen no key yet: minus infinity would give infinity minus infinity.
    const float base = largest == kMinusInfinity ? 0 : largest * scale;
    const float factor = exp2_fast(maximum[half] * scale - base);
    maximum[half] = largest;
    float added = 0;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) {
        scores[n][e] = exp2_fast(fmaf(scores[n][e], scale, -base));
        added += scores[n][e];
      }
    }
    sum[half] = sum[half] * factor + added;
#pragma unroll
    for (int n = 0; n < kOutTiles; ++n) {
      out[n][2 * half] *= factor;
      out[n][2 * half + 1] *= factor;
    }
  }
}

template <int kHead, bool kDropout>
__global__ void __launch_bounds__(ForwardShape<kHead>::kThreads)
    attention_forward_kernel(const __grid_constant__ AttentionForward a) {
  using Shape = ForwardShape<kHead>;
  using Rows = Tile<kHead>;
  constexpr int kRowTiles = Shape::kRowTiles;
  constexpr int kKeys = Shape::kKeys;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ int scratch[Shape::kWarps];

  const AttentionSizes& sizes = a.sizes;
  const int lane = threadIdx.x % kWarpSize;
  const int warp_row = threadIdx.x / kWarpSize * Shape::kWarpRows;
  const int query = (gridDim.x - 1 - blockIdx.x) * Shape::kRows;
  const int head = blockIdx.y;
  const int batch = blockIdx.z;
  const int group = head / (sizes.heads / sizes.kv_heads);
  const int head_size = sizes.head_size;

  const auto rows_of = [&](const AttentionRows& rows, int of_head) {
    return static_cast<__nv_bfloat16*>(rows.data) + batch * rows.batch + of_head * head_size;
  };
  const __nv_bfloat16* keys = rows_of(a.key, group);
  const __nv_bfloat16* values = rows_of(a.value, group);
  const std::uint32_t query_tile = shared_address(memory);
  const std::uint32_t key_tiles = query_tile + Shape::kQueryBytes;
  const std::uint32_t value_tiles = key_tiles + 2 * Shape::kKeyBytes;

  Rows::template copy<Shape::kThreads>(query_tile, rows_of(a.query, head) + query * a.query.row,
                                       a.query.row, Shape::kRows, sizes.queries - query, head_size);
  const KeySpan span = keys_of_block<Shape::kThreads>(a.mask, batch, query, Shape::kRows,
                                                      sizes.queries, sizes.keys, scratch);
  const LaneRows<kRowTiles> rows(a.mask, batch, query + warp_row, sizes.queries, sizes.keys, lane);
  const int first_tile = span.first / kKeys;
  const int end_tile = (span.end + kKeys - 1) / kKeys;
  // Keys past the last visible one are not read: in a cache nobody has written them yet.
  const auto copy_tile = [&](int tile) {
    const std::int64_t key = static_cast<std::int64_t>(tile) * kKeys;
    const int valid = span.end - tile * kKeys;
    const std::uint32_t buffer = (tile & 1) * Shape::kKeyBytes;
    Rows::template copy<Shape::kThreads>(key_tiles + buffer, keys + key * a.key.row, a.key.row,
                                         kKeys, valid, head_size);
    Rows::template copy<Shape::kThreads>(value_tiles + buffer, values + key * a.value.row,
                                         a.value.row, kKeys, valid, head_size);
  };
  copy_tile(first_tile);

  KeepDraws draws;
  if constexpr (kDropout) draws = KeepDraws(a.dropout, sizes.queries, sizes.heads, batch);
  const float scale = kLog2E * rsqrtf(static_cast<float>(head_size));
  float out[kRowTiles][kHead / 8][4] = {};
  float maximum[kRowTiles][2];
  float sum[kRowTiles][2] = {};
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) maximum[m][0] = maximum[m][1] = kMinusInfinity;
  std::uint32_t kept_queries[kRowTiles][Shape::kKeptSteps][4];
  const std::uint32_t queries = Rows::rows_first(query_tile, warp_row, lane);

  for (int tile = first_tile; tile < end_tile; ++tile) {
    finish_copies();
    __syncthreads();
    if (tile + 1 < end_tile) copy_tile(tile + 1);
    if (Shape::kKeepQueries && tile == first_tile) {
#pragma unroll
      for (int i = 0; i < Shape::kKeptSteps * kRowTiles; ++i) {
        load_matrices(kept_queries[i % kRowTiles][i / kRowTiles],
                      Rows::at(queries, 16 * (i % kRowTiles), i / kRowTiles));
      }
    }
    const int key = tile * kKeys;
    if (rows.warp_sees_none(key, kKeys)) continue;
    const std::uint32_t key_tile = key_tiles + (tile & 1) * Shape::kKeyBytes;
    const std::uint32_t columns = Rows::columns_first(key_tile, 0, lane);
    const std::uint32_t value_rows = Rows::rows_first(key_tile, 0, lane) + 2 * Shape::kKeyBytes;

    float scores[kRowTiles][kKeys / 8][4] = {};
#pragma unroll
    for (int step = 0; step < kHead / 16; ++step) {
      std::uint32_t left[kRowTiles][4];
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        if constexpr (Shape::kKeepQueries) {
#pragma unroll
          for (int i = 0; i < 4; ++i) left[m][i] = kept_queries[m][step][i];
        } else {
          load_matrices(left[m], Rows::at(queries, 16 * m, step));
        }
      }
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        std::uint32_t right[4];
        load_matrices(right, Rows::at(columns, 16 * n, step));
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          multiply(scores[m][2 * n], left[m], right[0], right[1]);
          multiply(scores[m][2 * n + 1], left[m], right[2], right[3]);
        }
      }
    }

    if (!rows.warp_sees_all(key, kKeys)) {
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int i = 0; i < kKeys / 2; ++i) {
          const int column = key + i / 4 * 8 + (lane & 3) * 2 + i % 2;
          if (!rows.sees(m, i % 4 / 2, column)) scores[m][i / 4][i % 4] = kMinusInfinity;
        }
      }
    }
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      softmax_step(scores[m], out[m], maximum[m], sum[m], scale);
      if constexpr (kDropout) {
        const std::uint32_t kept =
            kept_of_rows<kKeys / 8>(draws, head, query + warp_row + 16 * m, key, lane);
#pragma unroll
        for (int i = 0; i < kKeys / 2; ++i) {
          if (((kept >> i) & 1) == 0) scores[m][i / 4][i % 4] = 0;
        }
      }
    }

#pragma unroll
    for (int step = 0; step < kKeys / 16; ++step) {
      std::uint32_t left[kRowTiles][4];
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        pack_fragment(left[m], scores[m][2 * step], scores[m][2 * step + 1]);
      }
#pragma unroll
      for (int n = 0; n < kHead / 16; ++n) {
        std::uint32_t right[4];
        load_matrices_transposed(right, Rows::at(value_rows, 16 * step, n));
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          multiply(out[m][2 * n], left[m], right[0], right[1]);
          multiply(out[m][2 * n + 1], left[m], right[2], right[3]);
        }
      }
    }
  }

  // The warp's own rows of Q have been read for the last time: out takes their place.
  __syncwarp();
  const float kept = 1.0F / (1.0F - a.dropout.rate);
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
    const float sums[2] = {row_sum(sum[m][0]), row_sum(sum[m][1])};
    Rows::put(query_tile, warp_row + 16 * m, out[m], kept / sums[0], kept / sums[1], lane);
    if (a.log_sum_exp == nullptr || (lane & 3) != 0) continue;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int t = query + warp_row + 16 * m + 8 * half + (lane >> 2);
      if (t >= sizes.queries) continue;
      const std::int64_t line = static_cast<std::int64_t>(batch) * sizes.heads + head;
      a.log_sum_exp[line * sizes.queries + t] =
          kLn2 * (maximum[m][half] * scale) + logf(sums[half]);
    }
  }
  __syncwarp();
  Rows::store(query_tile, warp_row, Shape::kWarpRows, sizes.queries - query,
              rows_of(a.out, head) + query * a.out.row, a.out.row, head_size, lane);
}

template <int kHead, bool kDropout>
cudaError_t launch(const AttentionForward& a, cudaStream_t stream) {
  using Shape = ForwardShape<kHead>;
  auto* kernel = attention_forward_kernel<kHead, kDropout>;
  const cudaError_t allowed = allow_shared_memory(kernel, Shape::kSharedBytes);
  if (allowed != cudaSuccess) return allowed;
  const dim3 grid((a.sizes.queries + Shape::kRows - 1) / Shape::kRows, a.sizes.heads,
                  a.sizes.batch);
  kernel<<<grid, Shape::kThreads, Shape::kSharedBytes, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace

bool uses_tensor_cores(const AttentionSizes& sizes) {
  return sizes.element == AttentionElement::kBf16 && sizes.head_size % kChunkElements == 0 &&
         sizes.head_size <= 128;
}

cudaError_t attention_forward_tensor(const AttentionForward& a, cudaStream_t stream) {
  const bool dropout = a.dropout.rate > 0;
  if (a.sizes.head_size <= 64) {
    return dropout ? launch<64, true>(a, stream) : launch<64, false>(a, stream);
  }
  return dropout ? launch<128, true>(a, stream) : launch<128, false>(a, stream);
}

}  // namespace ingot::cuda
