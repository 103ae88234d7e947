// Attention forward by plain multiply-adds in f32: the path of f32 tensors, and of bf16 tensors
// with head sizes that the tensor-core kernels do not take. FlashAttention (Dao et al., 2022) as in
// attention_forward_kernels.cu, by 256 threads with tiles of f32 (attention_plain.cuh). K and V of
// a tile share one buffer, one after the other.
//
//              rows x keys   shared memory
//   head  64    64  x  64    Q 16, K or V 16, probabilities 16 KiB
//   head 128    64  x  32    Q 32, K or V 16, probabilities  8 KiB
//   head 256    32  x  32    Q 32, K or V 32, probabilities  4 KiB
#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_plain.cuh"
#include "ops/attention/attention_rows.cuh"

namespace ingot::cuda {

namespace {

template <int kHead>
struct PlainForwardShape {
  static constexpr int kR = kHead == 256 ? 2 : 4;
  static constexpr int kC = kHead == 64 ? 4 : 2;
  static constexpr int kRows = kPlainSide * kR;
  static constexpr int kKeys = kPlainSide * kC;
  using Tile = PlainTile<kHead, kR, kC>;
  static constexpr int kSharedBytes = Tile::bytes(kRows) + Tile::bytes(kKeys) + Tile::kWeightBytes;
};

template <typename Element, int kHead>
__global__ void __launch_bounds__(kPlainThreads, 1)
    attention_plain_forward_kernel(const __grid_constant__ AttentionForward a) {
  using Shape = PlainForwardShape<kHead>;
  using Tile = typename Shape::Tile;
  constexpr int kR = Shape::kR;
  constexpr int kC = Shape::kC;
  extern __shared__ __align__(128) unsigned char memory[];
  __shared__ int scratch[kPlainThreads / kWarpSize];
  auto* query_tile = reinterpret_cast<float*>(memory);
  float* walked_tile = query_tile + Tile::bytes(Shape::kRows) / 4;
  float* weights = walked_tile + Tile::bytes(Shape::kKeys) / 4;

  const AttentionSizes& sizes = a.sizes;
  const int x = threadIdx.x % kPlainSide;
  const int y = threadIdx.x / kPlainSide;
  const int query = (gridDim.x - 1 - blockIdx.x) * Shape::kRows;
  const int head = blockIdx.y;
  const int batch = blockIdx.z;
  const int group = head / (sizes.heads / sizes.kv_heads);
  const int head_size = sizes.head_size;
  const auto* keys = plain_rows<Element>(a.key, batch, group, head_size);
  const auto* values = plain_rows<Element>(a.value, batch, group, head_size);

  Tile::fill(query_tile, plain_rows<Element>(a.query, batch, head, head_size) + query * a.query.row,
             a.query.row, Shape::kRows, sizes.queries - query, head_size);
  const KeySpan span = keys_of_block<kPlainThreads>(a.mask, batch, query, Shape::kRows,
                                                    sizes.queries, sizes.keys, scratch);
  const int position = first_position(a.mask, sizes.keys);
  KeepDraws draws;
  const bool dropout = a.dropout.rate > 0;
  if (dropout) draws = KeepDraws(a.dropout, sizes.queries, sizes.heads, batch);
  const float scale = kLog2E * rsqrtf(static_cast<float>(head_size));
  typename Tile::Sums out = {};
  float maximum[kR];
  float sum[kR] = {};
  int first[kR];
#pragma unroll
  for (int i = 0; i < kR; ++i) {
    maximum[i] = kMinusInfinity;
    first[i] = document_start<kPlainSide>(a.mask, batch, query + y * kR + i, sizes.queries);
  }

  // Keys past the last visible one are not read: in a cache nobody has written them yet.
  for (int key = span.first / Shape::kKeys * Shape::kKeys; key < span.end; key += Shape::kKeys) {
    __syncthreads();
    Tile::fill(walked_tile, keys + key * a.key.row, a.key.row, Shape::kKeys, span.end - key,
               head_size);
    __syncthreads();
    float scores[kR][kC];
    Tile::multiply(scores, query_tile, walked_tile, y, x, head_size);
    __syncthreads();
    Tile::fill(walked_tile, values + key * a.value.row, a.value.row, Shape::kKeys, span.end - key,
               head_size);

#pragma unroll
    for (int i = 0; i < kR; ++i) {
      const int t = query + y * kR + i;
      const int last = min(position + t, sizes.keys - 1);
      const int own_key = key + x * kC;
      float largest = maximum[i];
#pragma unroll
      for (int j = 0; j < kC; ++j) {
        if (own_key + j < first[i] || own_key + j > last) scores[i][j] = kMinusInfinity;
        largest = fmaxf(largest, scores[i][j]);
      }
      largest = side_maximum(largest);
      const float base = largest == kMinusInfinity ? 0 : largest * scale;
      const float factor = exp2_fast(maximum[i] * scale - base);
      maximum[i] = largest;
      sum[i] *= factor;
      const std::uint32_t kept =
          dropout ? draws.keys_kept(head, t, own_key / 4) >> (own_key % 4) : ~0U;
#pragma unroll
      for (int j = 0; j < kC; ++j) {
        scores[i][j] = exp2_fast(fmaf(scores[i][j], scale, -base));
        sum[i] += scores[i][j];
        if (((kept >> j) & 1) == 0) scores[i][j] = 0;
      }
#pragma unroll
      for (float4& part : out[i]) {
        part.x *= factor;
        part.y *= factor;
        part.z *= factor;
        part.w *= factor;
      }
    }
    Tile::put_weights(weights, scores, y, x);
    __syncthreads();
    Tile::accumulate(out, weights, walked_tile, y, x);
  }

  const float kept_factor = 1.0F / (1.0F - a.dropout.rate);
  auto* to = plain_rows<Element>(a.out, batch, head, head_size);
#pragma unroll
  for (int i = 0; i < kR; ++i) {
    const float whole = side_sum(sum[i]);
    const int t = query + y * kR + i;
    if (t >= sizes.queries) continue;
    Tile::store(out[i], kept_factor / whole, to + t * a.out.row, x, head_size);
    if (x != 0 || a.log_sum_exp == nullptr) continue;
    const std::int64_t line = static_cast<std::int64_t>(batch) * sizes.heads + head;
    a.log_sum_exp[line * sizes.queries + t] = kLn2 * (maximum[i] * scale) + logf(whole);
  }
}

template <typename Element, int kHead>
cudaError_t launch(const AttentionForward& a, cudaStream_t stream) {
  using Shape = PlainForwardShape<kHead>;
  auto* kernel = attention_plain_forward_kernel<Element, kHead>;
  const cudaError_t allowed = allow_shared_memory(kernel, Shape::kSharedBytes);
  if (allowed != cudaSuccess) return allowed;
  const dim3 grid((a.sizes.queries + Shape::kRows - 1) / Shape::kRows, a.sizes.heads,
                  a.sizes.batch);
  kernel<<<grid, kPlainThreads, Shape::kSharedBytes, stream>>>(a);
  return cudaGetLastError();
}

template <typename Element>
cudaError_t launch_any(const AttentionForward& a, cudaStream_t stream) {
  if (a.sizes.head_size <= 64) return launch<Element, 64>(a, stream);
  if (a.sizes.head_size <= 128) return launch<Element, 128>(a, stream);
  return launch<Element, 256>(a, stream);
}

}  // namespace

cudaError_t attention_forward_plain(const AttentionForward& a, cudaStream_t stream) {
  return a.sizes.element == AttentionElement::kBf16 ? launch_any<__nv_bfloat16>(a, stream)
                                                    : launch_any<float>(a, stream);
}

}  // namespace ingot::cuda
