// Attention backward by plain multiply-adds in f32, the companion of
// attention_plain_forward_kernels.cu, and the sums `delta` that every backward path needs. The two
// kernels and their formulas are those of attention_backward_kernels.cu: one owns keys and walks
// over queries for dK and dV, the other owns queries and walks over keys for dQ.
//
//                     own x walked  shared memory
//   dK, dV  head  64    64 x 64     K, V 32; Q, dO 32; weights 16 KiB
//           head 128    32 x 32     K, V 32; Q, dO 32; weights  4 KiB
//           head 256    16 x 16     K, V 32; Q, dO 32; weights  1 KiB
//   dQ      head  64    64 x 64     Q, dO 32; K or V 16; weights 16 KiB
//           head 128    64 x 32     Q, dO 64; K or V 16; weights  8 KiB
//           head 256    32 x 16     Q, dO 64; K or V 16; weights  3 KiB
#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_plain.cuh"
#include "ops/attention/attention_rows.cuh"

namespace ingot::cuda {

namespace {

template <int kHead>
struct KeyShape {
  static constexpr int kR = kHead == 64 ? 4 : kHead == 128 ? 2 : 1;
  static constexpr int kC = kR;
  static constexpr int kOwn = kPlainSide * kR;
  static constexpr int kWalked = kPlainSide * kC;
  using Tile = PlainTile<kHead, kR, kC>;
  static constexpr int kSharedBytes =
      2 * Tile::bytes(kOwn) + 2 * Tile::bytes(kWalked) + Tile::kWeightBytes;
};

template <int kHead>
struct QueryShape {
  static constexpr int kR = kHead == 256 ? 2 : 4;
  static constexpr int kC = kHead == 64 ? 4 : kHead == 128 ? 2 : 1;
  static constexpr int kOwn = kPlainSide * kR;
  static constexpr int kWalked = kPlainSide * kC;
  using Tile = PlainTile<kHead, kR, kC>;
  static constexpr int kSharedBytes =
      2 * Tile::bytes(kOwn) + Tile::bytes(kWalked) + Tile::kWeightBytes;
};

/// What a thread needs of its kCount columns, loaded as one vector.
template <typename T, int kCount>
struct alignas(sizeof(T) * kCount) Columns {
  T of[kCount];
};

template <typename Element, int kHead>
__global__ void __launch_bounds__(kPlainThreads, 1)
    attention_plain_key_gradient_kernel(const __grid_constant__ AttentionBackward a) {
  using Shape = KeyShape<kHead>;
  using Tile = typename Shape::Tile;
  constexpr int kR = Shape::kR;
  constexpr int kC = Shape::kC;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ int scratch[kPlainThreads / kWarpSize];
  // Of the walked queries; a thread reads those of its own kC columns at once.
  __shared__ Columns<float, kC> log_sum_exp[kPlainSide];
  __shared__ Columns<float, kC> delta[kPlainSide];
  __shared__ Columns<int, kC> starts[kPlainSide];
  auto* key_tile = reinterpret_cast<float*>(memory);
  float* value_tile = key_tile + Tile::bytes(Shape::kOwn) / 4;
  float* query_tile = value_tile + Tile::bytes(Shape::kOwn) / 4;
  float* gradient_tile = query_tile + Tile::bytes(Shape::kWalked) / 4;
  float* weights = gradient_tile + Tile::bytes(Shape::kWalked) / 4;

  const AttentionSizes& sizes = a.sizes;
  const int tokens = sizes.queries;
  const int head_size = sizes.head_size;
  const int x = threadIdx.x % kPlainSide;
  const int y = threadIdx.x / kPlainSide;
  const int key = blockIdx.x * Shape::kOwn;
  const int own_key = key + y * kR;
  const int group = blockIdx.y;
  const int batch = blockIdx.z;
  const int heads_per_group = sizes.heads / sizes.kv_heads;

  Tile::fill(key_tile, plain_rows<Element>(a.key, batch, group, head_size) + key * a.key.row,
             a.key.row, Shape::kOwn, tokens - key, head_size);
  Tile::fill(value_tile, plain_rows<Element>(a.value, batch, group, head_size) + key * a.value.row,
             a.value.row, Shape::kOwn, tokens - key, head_size);
  const int end = queries_of_block<kPlainThreads>(a.mask, batch, key, Shape::kOwn, tokens, scratch);
  const bool dropout = a.dropout.rate > 0;
  const float kept_factor = 1.0F / (1.0F - a.dropout.rate);
  const float scale = rsqrtf(static_cast<float>(head_size));
  const float scale_log2 = scale * kLog2E;
  typename Tile::Sums key_sums = {};
  typename Tile::Sums value_sums = {};

  KeepDraws draws;
  if (dropout) draws = KeepDraws(a.dropout, tokens, sizes.heads, batch);

  for (int head = group * heads_per_group; head < (group + 1) * heads_per_group; ++head) {
    for (int query = key / Shape::kWalked * Shape::kWalked; query < end; query += Shape::kWalked) {
      __syncthreads();
      const int valid = tokens - query;
      Tile::fill(query_tile,
                 plain_rows<Element>(a.query, batch, head, head_size) + query * a.query.row,
                 a.query.row, Shape::kWalked, valid, head_size);
      Tile::fill(
          gradient_tile,
          plain_rows<Element>(a.out_gradient, batch, head, head_size) + query * a.out_gradient.row,
          a.out_gradient.row, Shape::kWalked, valid, head_size);
      if (threadIdx.x < Shape::kWalked) {
        const int t = query + static_cast<int>(threadIdx.x);
        const std::int64_t line = static_cast<std::int64_t>(batch) * sizes.heads + head;
        const std::int64_t at = line * tokens + min(t, tokens - 1);
        const int owner = threadIdx.x / kC;
        const int of_owner = threadIdx.x % kC;
        log_sum_exp[owner].of[of_owner] = a.log_sum_exp[at] * kLog2E;
        delta[owner].of[of_owner] = a.delta[at];
        // A query past the last token sees nothing.
        starts[owner].of[of_owner] =
            t < tokens ? document_start<1>(a.mask, batch, t, tokens) : t + 1;
      }
      __syncthreads();

      float scores[kR][kC];
      float change[kR][kC];
      Tile::multiply(scores, key_tile, query_tile, y, x, head_size);
      Tile::multiply(change, value_tile, gradient_tile, y, x, head_size);
      const Columns<float, kC> own_log_sum_exp = log_sum_exp[x];
      const Columns<float, kC> own_delta = delta[x];
      const Columns<int, kC> own_starts = starts[x];
#pragma unroll
      for (int j = 0; j < kC; ++j) {
        const int t = query + x * kC + j;
        const std::uint32_t kept =
            dropout ? draws.keys_kept(head, t, own_key / 4) >> (own_key % 4) : ~0U;
#pragma unroll
        for (int i = 0; i < kR; ++i) {
          const bool seen = own_key + i >= own_starts.of[j] && own_key + i <= t;
          const float probability =
              seen ? exp2_fast(fmaf(scores[i][j], scale_log2, -own_log_sum_exp.of[j])) : 0;
          const float factor = ((kept >> i) & 1) != 0 ? kept_factor : 0;
          scores[i][j] = probability * factor;
          change[i][j] = probability * (change[i][j] * factor - own_delta.of[j]);
        }
      }
      // Rows of weights are written and read by the same half of a warp.
      Tile::put_weights(weights, scores, y, x);
      __syncwarp();
      Tile::accumulate(value_sums, weights, gradient_tile, y, x);
      __syncwarp();
      Tile::put_weights(weights, change, y, x);
      __syncwarp();
      Tile::accumulate(key_sums, weights, query_tile, y, x);
    }
  }

  auto* key_to = plain_rows<Element>(a.key_gradient, batch, group, head_size);
  auto* value_to = plain_rows<Element>(a.value_gradient, batch, group, head_size);
#pragma unroll
  for (int i = 0; i < kR; ++i) {
    if (own_key + i >= tokens) continue;
    Tile::store(key_sums[i], scale, key_to + (own_key + i) * a.key_gradient.row, x, head_size);
    Tile::store(value_sums[i], 1, value_to + (own_key + i) * a.value_gradient.row, x, head_size);
  }
}

template <typename Element, int kHead>
__global__ void __launch_bounds__(kPlainThreads, 1)
    attention_plain_query_gradient_kernel(const __grid_constant__ AttentionBackward a) {
  using Shape = QueryShape<kHead>;
  using Tile = typename Shape::Tile;
  constexpr int kR = Shape::kR;
  constexpr int kC = Shape::kC;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ int scratch[kPlainThreads / kWarpSize];
  auto* query_tile = reinterpret_cast<float*>(memory);
  float* gradient_tile = query_tile + Tile::bytes(Shape::kOwn) / 4;
  float* walked_tile = gradient_tile + Tile::bytes(Shape::kOwn) / 4;
  float* weights = walked_tile + Tile::bytes(Shape::kWalked) / 4;

  const AttentionSizes& sizes = a.sizes;
  const int tokens = sizes.queries;
  const int head_size = sizes.head_size;
  const int x = threadIdx.x % kPlainSide;
  const int y = threadIdx.x / kPlainSide;
  const int query = (gridDim.x - 1 - blockIdx.x) * Shape::kOwn;
  const int head = blockIdx.y;
  const int batch = blockIdx.z;
  const int group = head / (sizes.heads / sizes.kv_heads);
  const auto* keys = plain_rows<Element>(a.key, batch, group, head_size);
  const auto* values = plain_rows<Element>(a.value, batch, group, head_size);

  Tile::fill(query_tile, plain_rows<Element>(a.query, batch, head, head_size) + query * a.query.row,
             a.query.row, Shape::kOwn, tokens - query, head_size);
  Tile::fill(
      gradient_tile,
      plain_rows<Element>(a.out_gradient, batch, head, head_size) + query * a.out_gradient.row,
      a.out_gradient.row, Shape::kOwn, tokens - query, head_size);
  const KeySpan span =
      keys_of_block<kPlainThreads>(a.mask, batch, query, Shape::kOwn, tokens, tokens, scratch);
  const bool dropout = a.dropout.rate > 0;
  KeepDraws draws;
  if (dropout) draws = KeepDraws(a.dropout, tokens, sizes.heads, batch);
  const float kept_factor = 1.0F / (1.0F - a.dropout.rate);
  const float scale = rsqrtf(static_cast<float>(head_size));
  const float scale_log2 = scale * kLog2E;
  float log_sum_exp[kR];
  float delta[kR];
  int first[kR];
#pragma unroll
  for (int i = 0; i < kR; ++i) {
    const int t = query + y * kR + i;
    const std::int64_t line = static_cast<std::int64_t>(batch) * sizes.heads + head;
    const std::int64_t at = line * tokens + min(t, tokens - 1);
    log_sum_exp[i] = load_shared_by<kPlainSide>(a.log_sum_exp + at) * kLog2E;
    delta[i] = load_shared_by<kPlainSide>(a.delta + at);
    first[i] = document_start<kPlainSide>(a.mask, batch, t, tokens);
  }
  typename Tile::Sums sums = {};

  for (int key = span.first / Shape::kWalked * Shape::kWalked; key < span.end;
       key += Shape::kWalked) {
    __syncthreads();
    Tile::fill(walked_tile, values + key * a.value.row, a.value.row, Shape::kWalked, span.end - key,
               head_size);
    __syncthreads();
    float change[kR][kC];
    Tile::multiply(change, gradient_tile, walked_tile, y, x, head_size);
    __syncthreads();
    Tile::fill(walked_tile, keys + key * a.key.row, a.key.row, Shape::kWalked, span.end - key,
               head_size);
    __syncthreads();
    float scores[kR][kC];
    Tile::multiply(scores, query_tile, walked_tile, y, x, head_size);
    const int own_key = key + x * kC;
#pragma unroll
    for (int i = 0; i < kR; ++i) {
      const int t = query + y * kR + i;
      const std::uint32_t kept =
          dropout ? draws.keys_kept(head, t, own_key / 4) >> (own_key % 4) : ~0U;
#pragma unroll
      for (int j = 0; j < kC; ++j) {
        const bool seen = own_key + j >= first[i] && own_key + j <= t;
        const float factor = ((kept >> j) & 1) != 0 ? kept_factor : 0;
        const float probability =
            seen ? exp2_fast(fmaf(scores[i][j], scale_log2, -log_sum_exp[i])) : 0;
        change[i][j] = probability * (change[i][j] * factor - delta[i]);
      }
    }
    // Rows of weights are written and read by the same half of a warp.
    __syncwarp();
    Tile::put_weights(weights, change, y, x);
    __syncwarp();
    Tile::accumulate(sums, weights, walked_tile, y, x);
  }

  auto* to = plain_rows<Element>(a.query_gradient, batch, head, head_size);
#pragma unroll
  for (int i = 0; i < kR; ++i) {
    const int t = query + y * kR + i;
    if (t < tokens) Tile::store(sums[i], scale, to + t * a.query_gradient.row, x, head_size);
  }
}

/// delta[b, h, t] for 32 positions of one head, 8 lanes to a row, written as one line.
template <typename Element>
__global__ void __launch_bounds__(kPlainThreads, 1)
    attention_delta_kernel(const __grid_constant__ AttentionBackward a) {
  constexpr int kLanesPerRow = 8;
  constexpr int kRows = kPlainThreads / kLanesPerRow;
  constexpr int kVector = 16 / static_cast<int>(sizeof(Element));
  __shared__ float sums[kRows];
  const int head_size = a.sizes.head_size;
  const int batch = blockIdx.z;
  const int row = threadIdx.x / kLanesPerRow;
  const int part = threadIdx.x % kLanesPerRow;
  const int t = blockIdx.x * kRows + row;
  float sum = 0;
  if (t < a.sizes.queries) {
    const int head = blockIdx.y;
    const auto* out = plain_rows<Element>(a.out, batch, head, head_size) + t * a.out.row;
    const auto* gradient =
        plain_rows<Element>(a.out_gradient, batch, head, head_size) + t * a.out_gradient.row;
    if (head_size % kVector == 0) {
      for (int i = part * kVector; i < head_size; i += kLanesPerRow * kVector) {
        const uint4 left = *reinterpret_cast<const uint4*>(out + i);
        const uint4 right = *reinterpret_cast<const uint4*>(gradient + i);
        const auto* left_elements = reinterpret_cast<const Element*>(&left);
        const auto* right_elements = reinterpret_cast<const Element*>(&right);
#pragma unroll
        for (int e = 0; e < kVector; ++e) {
          sum = fmaf(element(left_elements[e]), element(right_elements[e]), sum);
        }
      }
    } else {
      for (int i = part; i < head_size; i += kLanesPerRow) {
        sum = fmaf(element(out[i]), element(gradient[i]), sum);
      }
    }
  }
#pragma unroll
  for (int mask = 1; mask < kLanesPerRow; mask *= 2) {
    sum += __shfl_xor_sync(kAllLanes, sum, mask);
  }
  if (part == 0) sums[row] = sum;
  __syncthreads();
  const int at = blockIdx.x * kRows + static_cast<int>(threadIdx.x);
  if (threadIdx.x < kRows && at < a.sizes.queries) {
    const std::int64_t line = static_cast<std::int64_t>(batch) * a.sizes.heads + blockIdx.y;
    a.delta[line * a.sizes.queries + at] = sums[threadIdx.x];
  }
}

template <typename Element, int kHead>
cudaError_t launch(const AttentionBackward& a, cudaStream_t stream) {
  using Keys = KeyShape<kHead>;
  using Queries = QueryShape<kHead>;
  auto* of_keys = attention_plain_key_gradient_kernel<Element, kHead>;
  auto* of_queries = attention_plain_query_gradient_kernel<Element, kHead>;
  cudaError_t error = allow_shared_memory(of_keys, Keys::kSharedBytes);
  if (error == cudaSuccess) error = allow_shared_memory(of_queries, Queries::kSharedBytes);
  if (error != cudaSuccess) return error;
  const int tokens = a.sizes.queries;
  of_keys<<<dim3((tokens + Keys::kOwn - 1) / Keys::kOwn, a.sizes.kv_heads, a.sizes.batch),
            kPlainThreads, Keys::kSharedBytes, stream>>>(a);
  of_queries<<<dim3((tokens + Queries::kOwn - 1) / Queries::kOwn, a.sizes.heads, a.sizes.batch),
               kPlainThreads, Queries::kSharedBytes, stream>>>(a);
  return cudaGetLastError();
}

template <typename Element>
cudaError_t launch_any(const AttentionBackward& a, cudaStream_t stream) {
  if (a.sizes.head_size <= 64) return launch<Element, 64>(a, stream);
  if (a.sizes.head_size <= 128) return launch<Element, 128>(a, stream);
  return launch<Element, 256>(a, stream);
}

}  // namespace

cudaError_t attention_backward_plain(const AttentionBackward& a, cudaStream_t stream) {
  return a.sizes.element == AttentionElement::kBf16 ? launch_any<__nv_bfloat16>(a, stream)
                                                    : launch_any<float>(a, stream);
}

cudaError_t attention_delta(const AttentionBackward& a, cudaStream_t stream) {
  const dim3 grid((a.sizes.queries + 31) / 32, a.sizes.heads, a.sizes.batch);
  if (a.sizes.element == AttentionElement::kBf16) {
    attention_delta_kernel<__nv_bfloat16><<<grid, kPlainThreads, 0, stream>>>(a);
  } else {
    attention_delta_kernel<float><<<grid, kPlainThreads, 0, stream>>>(a);
  }
  return cudaGetLastError();
}

}  // namespace ingot::cuda
