// Attention backward on tensor cores, after FlashAttention-2 (Dao, 2023). With S the scaled scores,
// P = exp(S - log_sum_exp), K the dropout factors, O the output and dO its gradient:
//   dV = (P K)^T dO,  dP = (dO V^T) K,  dS = P (dP - delta),  delta = sum(dO O) per row,
//   dQ = scale dS K,  dK = scale dS^T Q.
//
// Two kernels, so that each gradient is summed by one block in a fixed order, without atomics: one
// owns a tile of keys and walks over the queries (of all query heads of the group, head by head)
// for dK and dV; the other owns a tile of queries and walks over the keys for dQ. The price is that
// S and dP are computed in both: seven products instead of the five of a kernel that adds dQ to
// memory atomically, 1.4 times its tensor-core work.
//
// The first kernel works on transposed scores, K Q^T: a warp's rows are keys, so that P^T and dS^T
// are left operands in the registers where they were made. In both a warp owns 16 * kRowTiles rows
// and takes kStep columns at a time; the walked tiles are double-buffered as in forward.
//
//                     own x walked  warps  shared memory
//   dK, dV  head  64   128 x 64       4    K, V 32; Q, dO 2 x 16 KiB; statistics 1.5 KiB
//           head 128   128 x 32       8    K, V 64; Q, dO 2 x 16 KiB; statistics 0.8 KiB
//   dQ      head  64   128 x 64       4    Q, dO 32; K, V 2 x 16 KiB
//           head 128   128 x 32       8    Q, dO 64; K, V 2 x 16 KiB
//
// 128 to 255 registers by ptxas 13.0, no spills on sm_80, sm_90 and sm_100.
//
// Global memory: own rows and gradients once, walked rows once per block that sees them. Counted
// under gpusim at 512 tokens: exactly these bytes, no bank conflicts, and 1.49 times the
// tensor-core operations of five products, of which 1.4 are the two more products and 1.06 what the
// diagonal's tiles compute above it (tests/ops/CUDA_KERNELS.md). Times on a GPU have not been
// measured.
#include "ops/attention/attention_dropout.cuh"
#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_mma.cuh"
#include "ops/attention/attention_rows.cuh"

namespace ingot::cuda {

namespace {

template <int kHead>
struct BackwardShape {
  static constexpr int kWarps = kHead == 64 ? 4 : 8;
  static constexpr int kRowTiles = kHead == 64 ? 2 : 1;
  static constexpr int kWalked = kHead == 64 ? 64 : 32;
  static constexpr int kStep = 32;
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kWarpRows = 16 * kRowTiles;
  static constexpr int kOwn = kWarps * kWarpRows;
  static constexpr int kOwnBytes = Tile<kHead>::bytes(kOwn);
  static constexpr int kWalkedBytes = Tile<kHead>::bytes(kWalked);
  /// log_sum_exp, delta and document start of the walked queries.
  static constexpr int kStatisticsBytes = 3 * 4 * kWalked;
  static constexpr int kQuerySharedBytes = 2 * kOwnBytes + 4 * kWalkedBytes;
  static constexpr int kKeySharedBytes = kQuerySharedBytes + 2 * kStatisticsBytes;
};

/// Fragments of (16 * kRowTiles rows of one tile) times (kColumns rows of another)^T; `left` and
/// `right` are the lane's addresses, rows first and columns first.
template <int kHead, int kRowTiles, int kColumns>
__device__ __forceinline__ void multiply_tiles(float (&to)[kRowTiles][kColumns / 8][4],
                                               std::uint32_t left, std::uint32_t right) {
  using Rows = Tile<kHead>;
#pragma unroll
  for (int step = 0; step < kHead / 16; ++step) {
    std::uint32_t a[kRowTiles][4];
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) load_matrices(a[m], Rows::at(left, 16 * m, step));
#pragma unroll
    for (int n = 0; n < kColumns / 16; ++n) {
      std::uint32_t b[4];
      load_matrices(b, Rows::at(right, 16 * n, step));
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        multiply(to[m][2 * n], a[m], b[0], b[1]);
        multiply(to[m][2 * n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

/// sums += (fragments `left`, rounded to bf16) times (kColumns rows of a tile); `right` is the
/// lane's address, rows first.
template <int kHead, int kRowTiles, int kColumns>
__device__ __forceinline__ void accumulate(float (&sums)[kRowTiles][kHead / 8][4],
                                           const float (&left)[kRowTiles][kColumns / 8][4],
                                           std::uint32_t right) {
  using Rows = Tile<kHead>;
#pragma unroll
  for (int step = 0; step < kColumns / 16; ++step) {
    std::uint32_t a[kRowTiles][4];
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      pack_fragment(a[m], left[m][2 * step], left[m][2 * step + 1]);
    }
#pragma unroll
    for (int n = 0; n < kHead / 16; ++n) {
      std::uint32_t b[4];
      load_matrices_transposed(b, Rows::at(right, 16 * step, n));
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        multiply(sums[m][2 * n], a[m], b[0], b[1]);
        multiply(sums[m][2 * n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

__device__ __forceinline__ __nv_bfloat16* rows_of(const AttentionRows& rows, int batch, int head,
                                                  int head_size) {
  return static_cast<__nv_bfloat16*>(rows.data) + batch * rows.batch + head * head_size;
}

template <int kHead, bool kDropout>
__global__ void __launch_bounds__(BackwardShape<kHead>::kThreads)
    attention_key_gradient_kernel(const __grid_constant__ AttentionBackward a) {
  using Shape = BackwardShape<kHead>;
  using Rows = Tile<kHead>;
  constexpr int kRowTiles = Shape::kRowTiles;
  // The draws of dropout take the registers of half a step.
  constexpr int kStep = kHead == 64 && kDropout ? 16 : Shape::kStep;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ int scratch[Shape::kWarps];

  const AttentionSizes& sizes = a.sizes;
  const int tokens = sizes.queries;
  const int head_size = sizes.head_size;
  const int lane = threadIdx.x % kWarpSize;
  const int warp_row = threadIdx.x / kWarpSize * Shape::kWarpRows;
  const int key = blockIdx.x * Shape::kOwn;
  const int group = blockIdx.y;
  const int batch = blockIdx.z;
  const int heads_per_group = sizes.heads / sizes.kv_heads;

  const std::uint32_t key_tile = shared_address(memory);
  const std::uint32_t value_tile = key_tile + Shape::kOwnBytes;
  const std::uint32_t query_tiles = value_tile + Shape::kOwnBytes;
  const std::uint32_t gradient_tiles = query_tiles + 2 * Shape::kWalkedBytes;
  const std::uint32_t statistics = gradient_tiles + 2 * Shape::kWalkedBytes;
  const auto* statistics_memory = memory + (statistics - key_tile);

  Rows::template copy<Shape::kThreads>(key_tile,
                                       rows_of(a.key, batch, group, head_size) + key * a.key.row,
                                       a.key.row, Shape::kOwn, tokens - key, head_size);
  Rows::template copy<Shape::kThreads>(
      value_tile, rows_of(a.value, batch, group, head_size) + key * a.value.row, a.value.row,
      Shape::kOwn, tokens - key, head_size);
  const int first_tile = key / Shape::kWalked;
  const int end =
      queries_of_block<Shape::kThreads>(a.mask, batch, key, Shape::kOwn, tokens, scratch);
  const int end_tile = (end + Shape::kWalked - 1) / Shape::kWalked;
  const int end_head = (group + 1) * heads_per_group;

  const auto copy_walked = [&](int head, int tile, int parity) {
    const int query = tile * Shape::kWalked;
    const int valid = tokens - query;
    const std::uint32_t buffer = parity * Shape::kWalkedBytes;
    Rows::template copy<Shape::kThreads>(
        query_tiles + buffer, rows_of(a.query, batch, head, head_size) + query * a.query.row,
        a.query.row, Shape::kWalked, valid, head_size);
    Rows::template copy<Shape::kThreads>(
        gradient_tiles + buffer,
        rows_of(a.out_gradient, batch, head, head_size) + query * a.out_gradient.row,
        a.out_gradient.row, Shape::kWalked, valid, head_size);
    const int i = threadIdx.x;
    if (i < Shape::kWalked) {
      const std::uint32_t to = statistics + parity * Shape::kStatisticsBytes + 4 * i;
      const int t = i < valid ? query + i : query;
      const std::int64_t line = static_cast<std::int64_t>(batch) * sizes.heads + head;
      copy_word(to, a.log_sum_exp + line * tokens + t, i < valid);
      copy_word(to + 4 * Shape::kWalked, a.delta + line * tokens + t, i < valid);
      if (a.mask.documents != nullptr) {
        const std::int64_t row = static_cast<std::int64_t>(batch) * tokens + t;
        copy_word(to + 8 * Shape::kWalked, a.mask.documents + row, i < valid);
      }
    }
  };
  int head = group * heads_per_group;
  int tile = first_tile;
  int parity = 0;
  if (tile < end_tile) copy_walked(head, tile, 0);

  const float scale = rsqrtf(static_cast<float>(head_size));
  const float scale_log2 = scale * kLog2E;
  const float kept_factor = 1.0F / (1.0F - a.dropout.rate);
  KeepDraws draws;
  if constexpr (kDropout) draws = KeepDraws(a.dropout, tokens, sizes.heads, batch);
  float key_sums[kRowTiles][kHead / 8][4] = {};
  float value_sums[kRowTiles][kHead / 8][4] = {};
  const int warp_key = key + warp_row;
  const std::uint32_t left = Rows::rows_first(key_tile, warp_row, lane);

  for (bool more = tile < end_tile; more; parity ^= 1) {
    finish_copies();
    __syncthreads();
    [[maybe_unused]] const int this_head = head;
    const int this_tile = tile;
    if (++tile == end_tile) {
      tile = first_tile;
      ++head;
    }
    more = head < end_head;
    if (more) copy_walked(head, tile, parity ^ 1);
    const std::uint32_t query_tile = query_tiles + parity * Shape::kWalkedBytes;
    const auto* numbers = statistics_memory + parity * Shape::kStatisticsBytes;
    const auto* log_sum_exp = reinterpret_cast<const float*>(numbers);
    const float* delta = log_sum_exp + Shape::kWalked;
    const auto* documents = reinterpret_cast<const int*>(numbers) + 2 * Shape::kWalked;

#pragma unroll 1
    for (int step = 0; step < Shape::kWalked; step += kStep) {
      // Lane l looks at query l of the step to tell whether the warp's keys are seen at all, and
      // whether by all. A query past the last token sees what the mask says; its gradients are 0.
      const int query = this_tile * Shape::kWalked + step;
      const int seen_by = lane % kStep;
      const int start = a.mask.documents == nullptr ? 0 : documents[step + seen_by];
      const int last_key = warp_key + Shape::kWarpRows - 1;
      if (__all_sync(kAllLanes, query + seen_by < warp_key || start > last_key)) continue;
      const bool all = __all_sync(kAllLanes, query + seen_by >= last_key && start <= warp_key);

      float scores[kRowTiles][kStep / 8][4] = {};
      const std::uint32_t columns = Rows::columns_first(query_tile, step, lane);
      multiply_tiles<kHead, kRowTiles, kStep>(scores, left, columns);
      std::uint32_t kept[kRowTiles];
      if constexpr (kDropout) {
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          kept[m] = kept_of_columns<kStep / 8>(draws, this_head, query, warp_key + 16 * m, lane);
        }
      }
#pragma unroll
      for (int n = 0; n < kStep / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int column = 8 * n + 2 * (lane & 3) + e;
          const float base = log_sum_exp[step + column] * kLog2E;
          const int document = all || a.mask.documents == nullptr ? 0 : documents[step + column];
#pragma unroll
          for (int i = 0; i < 2 * kRowTiles; ++i) {
            const int row = warp_key + 16 * (i / 2) + 8 * (i % 2) + (lane >> 2);
            float& score = scores[i / 2][n][i % 2 * 2 + e];
            score = exp2_fast(fmaf(score, scale_log2, -base));
            if (!all && (row > query + column || row < document)) score = 0;
          }
        }
      }

      float change[kRowTiles][kStep / 8][4] = {};
      multiply_tiles<kHead, kRowTiles, kStep>(change, left + Shape::kOwnBytes,
                                              columns + 2 * Shape::kWalkedBytes);
#pragma unroll
      for (int n = 0; n < kStep / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float row_delta = delta[step + 8 * n + 2 * (lane & 3) + e];
#pragma unroll
          for (int i = 0; i < 2 * kRowTiles; ++i) {
            const int at = i % 2 * 2 + e;
            float& probability = scores[i / 2][n][at];
            float& gradient = change[i / 2][n][at];
            bool keep = true;
            if constexpr (kDropout) keep = ((kept[i / 2] >> (4 * n + at)) & 1) != 0;
            if constexpr (kDropout) gradient = keep ? gradient * kept_factor : 0;
            gradient = probability * (gradient - row_delta);
            if (!keep) probability = 0;
          }
        }
      }
      const std::uint32_t right = Rows::rows_first(query_tile, step, lane);
      accumulate<kHead, kRowTiles, kStep>(value_sums, scores, right + 2 * Shape::kWalkedBytes);
      accumulate<kHead, kRowTiles, kStep>(key_sums, change, right);
    }
  }

  // Without a walk the copies of K and V are still under way; with one, the warp's own rows have
  // been read for the last time. Gradients take their place.
  finish_copies();
  __syncthreads();
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
    Rows::put(key_tile, warp_row + 16 * m, key_sums[m], scale, scale, lane);
    Rows::put(value_tile, warp_row + 16 * m, value_sums[m], kept_factor, kept_factor, lane);
  }
  __syncwarp();
  Rows::store(key_tile, warp_row, Shape::kWarpRows, tokens - key,
              rows_of(a.key_gradient, batch, group, head_size) + key * a.key_gradient.row,
              a.key_gradient.row, head_size, lane);
  Rows::store(value_tile, warp_row, Shape::kWarpRows, tokens - key,
              rows_of(a.value_gradient, batch, group, head_size) + key * a.value_gradient.row,
              a.value_gradient.row, head_size, lane);
}

template <int kHead, bool kDropout>
__global__ void __launch_bounds__(BackwardShape<kHead>::kThreads)
    attention_query_gradient_kernel(const __grid_constant__ AttentionBackward a) {
  using Shape = BackwardShape<kHead>;
  using Rows = Tile<kHead>;
  constexpr int kRowTiles = Shape::kRowTiles;
  constexpr int kStep = Shape::kStep;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ int scratch[Shape::kWarps];

  const AttentionSizes& sizes = a.sizes;
  const int tokens = sizes.queries;
  const int head_size = sizes.head_size;
  const int lane = threadIdx.x % kWarpSize;
  const int warp_row = threadIdx.x / kWarpSize * Shape::kWarpRows;
  const int query = (gridDim.x - 1 - blockIdx.x) * Shape::kOwn;
  const int head = blockIdx.y;
  const int batch = blockIdx.z;
  const int group = head / (sizes.heads / sizes.kv_heads);

  const std::uint32_t query_tile = shared_address(memory);
  const std::uint32_t gradient_tile = query_tile + Shape::kOwnBytes;
  const std::uint32_t key_tiles = gradient_tile + Shape::kOwnBytes;
  const std::uint32_t value_tiles = key_tiles + 2 * Shape::kWalkedBytes;

  Rows::template copy<Shape::kThreads>(
      query_tile, rows_of(a.query, batch, head, head_size) + query * a.query.row, a.query.row,
      Shape::kOwn, tokens - query, head_size);
  Rows::template copy<Shape::kThreads>(
      gradient_tile, rows_of(a.out_gradient, batch, head, head_size) + query * a.out_gradient.row,
      a.out_gradient.row, Shape::kOwn, tokens - query, head_size);
  const KeySpan span =
      keys_of_block<Shape::kThreads>(a.mask, batch, query, Shape::kOwn, tokens, tokens, scratch);
  const LaneRows<kRowTiles> rows(a.mask, batch, query + warp_row, tokens, tokens, lane);
  const int first_tile = span.first / Shape::kWalked;
  const int end_tile = (span.end + Shape::kWalked - 1) / Shape::kWalked;
  const __nv_bfloat16* keys = rows_of(a.key, batch, group, head_size);
  const __nv_bfloat16* values = rows_of(a.value, batch, group, head_size);
  const auto copy_tile = [&](int tile) {
    const std::int64_t key = static_cast<std::int64_t>(tile) * Shape::kWalked;
    const int valid = span.end - tile * Shape::kWalked;
    const std::uint32_t buffer = (tile & 1) * Shape::kWalkedBytes;
    Rows::template copy<Shape::kThreads>(key_tiles + buffer, keys + key * a.key.row, a.key.row,
                                         Shape::kWalked, valid, head_size);
    Rows::template copy<Shape::kThreads>(value_tiles + buffer, values + key * a.value.row,
                                         a.value.row, Shape::kWalked, valid, head_size);
  };
  copy_tile(first_tile);

  KeepDraws draws;
  if constexpr (kDropout) draws = KeepDraws(a.dropout, tokens, sizes.heads, batch);
  const float scale = rsqrtf(static_cast<float>(head_size));
  const float scale_log2 = scale * kLog2E;
  const float kept_factor = 1.0F / (1.0F - a.dropout.rate);
  float log_sum_exp[kRowTiles][2];
  float delta[kRowTiles][2];
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int t = query + warp_row + 16 * m + 8 * half + (lane >> 2);
      const std::int64_t line = static_cast<std::int64_t>(batch) * sizes.heads + head;
      const std::int64_t at = line * tokens + min(t, tokens - 1);
      log_sum_exp[m][half] = load_shared_by<4>(a.log_sum_exp + at) * kLog2E;
      delta[m][half] = load_shared_by<4>(a.delta + at);
    }
  }
  float sums[kRowTiles][kHead / 8][4] = {};
  const std::uint32_t left = Rows::rows_first(query_tile, warp_row, lane);

  for (int tile = first_tile; tile < end_tile; ++tile) {
    finish_copies();
    __syncthreads();
    if (tile + 1 < end_tile) copy_tile(tile + 1);
    const std::uint32_t key_tile = key_tiles + (tile & 1) * Shape::kWalkedBytes;
#pragma unroll 1
    for (int step = 0; step < Shape::kWalked; step += kStep) {
      const int key = tile * Shape::kWalked + step;
      if (rows.warp_sees_none(key, kStep)) continue;
      const bool all = rows.warp_sees_all(key, kStep);
      float scores[kRowTiles][kStep / 8][4] = {};
      float change[kRowTiles][kStep / 8][4] = {};
      const std::uint32_t columns = Rows::columns_first(key_tile, step, lane);
      multiply_tiles<kHead, kRowTiles, kStep>(scores, left, columns);
      multiply_tiles<kHead, kRowTiles, kStep>(change, left + Shape::kOwnBytes,
                                              columns + 2 * Shape::kWalkedBytes);
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
        std::uint32_t kept = 0;
        if constexpr (kDropout) {
          kept = kept_of_rows<kStep / 8>(draws, head, query + warp_row + 16 * m, key, lane);
        }
#pragma unroll
        for (int i = 0; i < kStep / 2; ++i) {
          const int half = i % 4 / 2;
          float& gradient = change[m][i / 4][i % 4];
          if constexpr (kDropout) gradient = ((kept >> i) & 1) != 0 ? gradient * kept_factor : 0;
          const float probability =
              exp2_fast(fmaf(scores[m][i / 4][i % 4], scale_log2, -log_sum_exp[m][half]));
          gradient = probability * (gradient - delta[m][half]);
          const int column = key + i / 4 * 8 + (lane & 3) * 2 + i % 2;
          if (!all && !rows.sees(m, half, column)) gradient = 0;
        }
      }
      accumulate<kHead, kRowTiles, kStep>(sums, change, Rows::rows_first(key_tile, step, lane));
    }
  }

  __syncwarp();
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
    Rows::put(query_tile, warp_row + 16 * m, sums[m], scale, scale, lane);
  }
  __syncwarp();
  Rows::store(query_tile, warp_row, Shape::kWarpRows, tokens - query,
              rows_of(a.query_gradient, batch, head, head_size) + query * a.query_gradient.row,
              a.query_gradient.row, head_size, lane);
}

template <int kHead, bool kDropout>
cudaError_t launch(const AttentionBackward& a, cudaStream_t stream) {
  using Shape = BackwardShape<kHead>;
  const auto tiles = static_cast<unsigned>((a.sizes.queries + Shape::kOwn - 1) / Shape::kOwn);
  auto* of_queries = attention_query_gradient_kernel<kHead, kDropout>;
  auto* of_keys = attention_key_gradient_kernel<kHead, kDropout>;
  cudaError_t error = allow_shared_memory(of_queries, Shape::kQuerySharedBytes);
  if (error == cudaSuccess) error = allow_shared_memory(of_keys, Shape::kKeySharedBytes);
  if (error != cudaSuccess) return error;
  const auto batch = static_cast<unsigned>(a.sizes.batch);
  of_keys<<<dim3(tiles, static_cast<unsigned>(a.sizes.kv_heads), batch), Shape::kThreads,
            Shape::kKeySharedBytes, stream>>>(a);
  of_queries<<<dim3(tiles, static_cast<unsigned>(a.sizes.heads), batch), Shape::kThreads,
               Shape::kQuerySharedBytes, stream>>>(a);
  return cudaGetLastError();
}

}  // namespace

cudaError_t attention_backward_tensor(const AttentionBackward& a, cudaStream_t stream) {
  const bool dropout = a.dropout.rate > 0;
  if (a.sizes.head_size <= 64) {
    return dropout ? launch<64, true>(a, stream) : launch<64, false>(a, stream);
  }
  return dropout ? launch<128, true>(a, stream) : launch<128, false>(a, stream);
}

}  // namespace ingot::cuda
