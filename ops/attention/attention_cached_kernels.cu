// Attention of few queries over a key/value cache, for generation, after the split of
// Flash-Decoding (Dao, Haziza, Massa and Sizov, 2023): a query is one row, so the time is that of
// reading the cache once, and blocks have to be many. Each block takes kSplit keys of one key/value
// head for all query heads of its group, and writes sums with their own maximum; a second kernel
// combines them. The grid covers the cache's capacity, since the length is known on the device
// only: blocks past it end at once. Splits are counted from key 0, so results depend on shapes and
// length only.
//
// 128 threads; eight lanes read a row, 16 bytes each where the head size allows it, so a warp reads
// four rows at a time. Up to kHeadTile query heads share a reading of K and V.
//
// Global memory: the visible part of K and V once per kHeadTile query heads, head_size + 2 floats
// written and read per query head and split.
#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_math.cuh"
#include "ops/attention/attention_plain.cuh"

namespace ingot::cuda {

namespace {

constexpr int kSplit = 256;
constexpr int kDecodeThreads = 128;
constexpr int kDecodeWarps = kDecodeThreads / kWarpSize;
constexpr int kLanesPerRow = 8;
constexpr int kRowsAtOnce = kDecodeThreads / kLanesPerRow;
constexpr int kHeadTile = 4;
static_assert(kHeadTile == kDecodeWarps, "one warp per head turns scores into probabilities");

int splits_of(const AttentionSizes& sizes) {
  return (sizes.keys + kSplit - 1) / kSplit;
}

/// Keys that query `query` sees: at least 1, at most the capacity.
__device__ int visible_keys(const std::int64_t* offset_at, int query, int capacity) {
  const std::int64_t offset = load_shared_by<kWarpSize>(offset_at);
  const std::int64_t visible = (offset < 0 ? 0 : offset) + query + 1;
  return visible < capacity ? static_cast<int>(visible) : capacity;
}

/// Where the sums of a split lie in the workspace: the maximum and the denominator of all lines,
/// then their head_size sums each, so that common sizes fill sectors.
struct DecodeLines {
  float* partial;
  std::int64_t lines;
  int head_size;
  int splits;

  __device__ DecodeLines(const AttentionDecode& a, int grid_splits)
      : partial(a.partial),
        lines(std::int64_t{a.sizes.batch} * a.sizes.queries * a.sizes.heads * grid_splits),
        head_size(a.sizes.head_size),
        splits(grid_splits) {}
  __device__ float* sums(std::int64_t row, int split) const {
    return partial + lines * 2 + (row * splits + split) * head_size;
  }
  __device__ float* numbers(std::int64_t row, int split) const {
    return partial + (row * splits + split) * 2;
  }
};

/// The elements of a row that lane `part` of eight owns: kVector at part + 8 * c, for every c.
template <typename Element, int kVector, int kOwned>
__device__ __forceinline__ void load_owned(float (&to)[kOwned * kVector], const Element* row,
                                           int part, int head_size) {
#pragma unroll
  for (int c = 0; c < kOwned; ++c) {
    const int at = (part + kLanesPerRow * c) * kVector;
    if constexpr (kVector == 1) {
      to[c] = at < head_size ? element(row[at]) : 0;
    } else {
      uint4 words = {0, 0, 0, 0};
      if (at < head_size) words = *reinterpret_cast<const uint4*>(row + at);
      const auto* elements = reinterpret_cast<const Element*>(&words);
#pragma unroll
      for (int e = 0; e < kVector; ++e) to[c * kVector + e] = element(elements[e]);
    }
  }
}

template <typename Element, int kVector, int kOwned>
__global__ void __launch_bounds__(kDecodeThreads)
    attention_decode_kernel(const __grid_constant__ AttentionDecode a) {
  constexpr int kElements = kVector * kOwned;
  // Eight floats of padding keep the four heads of one store on different banks.
  __shared__ float scores[kHeadTile][kSplit + 8];
  // Of each element the sums of the lanes, kPitch floats apart: neither eight lanes that write, nor
  // a warp that reads elements in order, meet on a bank.
  constexpr int kPitch = kVector == 8 ? 12 : kLanesPerRow;
  __shared__ float warp_sums[kDecodeWarps][kHeadTile][kElements * kPitch];
  const AttentionSizes& sizes = a.sizes;
  const int lane = threadIdx.x % kWarpSize;
  const int warp = threadIdx.x / kWarpSize;
  const int part = threadIdx.x % kLanesPerRow;
  const int slot = threadIdx.x / kLanesPerRow;
  const int group = blockIdx.y;
  const int batch = blockIdx.z / sizes.queries;
  const int query = blockIdx.z % sizes.queries;
  const int head_size = sizes.head_size;
  const int heads_per_group = sizes.heads / sizes.kv_heads;

  const int first = blockIdx.x * kSplit;
  const int count = min(visible_keys(a.offset, query, sizes.keys) - first, kSplit);
  if (count <= 0) return;
  const auto* keys = plain_rows<Element>(a.key, batch, group, head_size) + first * a.key.row;
  const auto* values = plain_rows<Element>(a.value, batch, group, head_size) + first * a.value.row;
  const auto* queries =
      plain_rows<Element>(a.query, batch, group * heads_per_group, head_size) + query * a.query.row;
  const float scale = kLog2E * rsqrtf(static_cast<float>(head_size));

  for (int tile = 0; tile < heads_per_group; tile += kHeadTile) {
    const int heads = min(kHeadTile, heads_per_group - tile);
    float owned[kHeadTile][kElements];
    // The first eight lanes read the queries for their warp; surplus heads are zero.
#pragma unroll
    for (int h = 0; h < kHeadTile; ++h) {
      const bool reads = lane < kLanesPerRow && h < heads;
      load_owned<Element, kVector, kOwned>(owned[h], queries + (tile + h) * head_size, part,
                                           reads ? head_size : 0);
#pragma unroll
      for (float& value : owned[h]) value = scale * __shfl_sync(kAllLanes, value, part);
    }
    for (int base = 0; base < count; base += kRowsAtOnce) {
      const int key = base + slot;
      float row[kElements] = {};
      if (key < count) {
        load_owned<Element, kVector, kOwned>(row, keys + key * a.key.row, part, head_size);
      }
#pragma unroll
      for (int h = 0; h < kHeadTile; ++h) {
        float sum = 0;
#pragma unroll
        for (int e = 0; e < kElements; ++e) sum = fmaf(owned[h][e], row[e], sum);
#pragma unroll
        for (int mask = 1; mask < kLanesPerRow; mask *= 2) {
          sum += __shfl_xor_sync(kAllLanes, sum, mask);
        }
        if (part == h) scores[h][key] = key < count ? sum : kMinusInfinity;
      }
    }
    __syncthreads();

    const DecodeLines lines(a, gridDim.x);
    const std::int64_t first_row =
        static_cast<std::int64_t>(blockIdx.z) * sizes.heads + group * heads_per_group + tile;
    const int rounded = (count + kRowsAtOnce - 1) / kRowsAtOnce * kRowsAtOnce;
    float largest = kMinusInfinity;
    for (int i = lane; i < rounded; i += kWarpSize) largest = fmaxf(largest, scores[warp][i]);
#pragma unroll
    for (int mask = 1; mask < kWarpSize; mask *= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, mask));
    }
    float sum = 0;
    for (int i = lane; i < rounded; i += kWarpSize) {
      const float probability = exp2_fast(scores[warp][i] - largest);
      scores[warp][i] = probability;
      sum += probability;
    }
#pragma unroll
    for (int mask = 1; mask < kWarpSize; mask *= 2) sum += __shfl_xor_sync(kAllLanes, sum, mask);
    if (lane == 0 && warp < heads) {
      const float2 numbers{largest, sum};
      *reinterpret_cast<float2*>(lines.numbers(first_row + warp, blockIdx.x)) = numbers;
    }
    __syncthreads();

#pragma unroll
    for (int i = 0; i < kHeadTile * kElements; ++i) owned[i / kElements][i % kElements] = 0;
    for (int key = slot; key < count; key += kRowsAtOnce) {
      float row[kElements];
      load_owned<Element, kVector, kOwned>(row, values + key * a.value.row, part, head_size);
#pragma unroll
      for (int h = 0; h < kHeadTile; ++h) {
        const float probability = scores[h][key];
#pragma unroll
        for (int e = 0; e < kElements; ++e) owned[h][e] = fmaf(probability, row[e], owned[h][e]);
      }
    }
#pragma unroll
    for (int h = 0; h < kHeadTile; ++h) {
#pragma unroll
      for (int e = 0; e < kElements; ++e) {
        float value = owned[h][e];
        value += __shfl_xor_sync(kAllLanes, value, kLanesPerRow);
        value += __shfl_xor_sync(kAllLanes, value, 2 * kLanesPerRow);
        if (lane < kLanesPerRow) warp_sums[warp][h][e * kPitch + part] = value;
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < heads * head_size; i += kDecodeThreads) {
      const int head = i / head_size;
      const int at = i % head_size;
      const int owner = at / kVector % kLanesPerRow;
      const int e = at / kVector / kLanesPerRow * kVector + at % kVector;
      float value = 0;
#pragma unroll
      for (int w = 0; w < kDecodeWarps; ++w) value += warp_sums[w][head][e * kPitch + owner];
      lines.sums(first_row + head, blockIdx.x)[at] = value;
    }
    __syncthreads();
  }
}

/// out of one query and head from the sums of its splits.
template <typename Element>
__global__ void __launch_bounds__(kDecodeThreads)
    attention_combine_kernel(const __grid_constant__ AttentionDecode a, int splits) {
  const AttentionSizes& sizes = a.sizes;
  const int head_size = sizes.head_size;
  const int head = blockIdx.x;
  const int batch = blockIdx.y / sizes.queries;
  const int query = blockIdx.y % sizes.queries;
  const int used = (visible_keys(a.offset, query, sizes.keys) + kSplit - 1) / kSplit;
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * sizes.heads + head;
  const DecodeLines lines(a, splits);
  const auto numbers = [&](int s) { return lines.numbers(row, s); };
  float largest = kMinusInfinity;
  for (int s = 0; s < used; ++s) {
    largest = fmaxf(largest, load_shared_by<kWarpSize>(numbers(s)));
  }
  float sum = 0;
  for (int s = 0; s < used; ++s) {
    const float factor = exp2_fast(load_shared_by<kWarpSize>(numbers(s)) - largest);
    sum = fmaf(load_shared_by<kWarpSize>(numbers(s) + 1), factor, sum);
  }
  auto* to = plain_rows<Element>(a.out, batch, head, head_size) + query * a.out.row;
  for (int base = 0; base < head_size; base += kDecodeThreads) {
    const int i = base + static_cast<int>(threadIdx.x);
    float value = 0;
    for (int s = 0; s < used; ++s) {
      const float factor = exp2_fast(load_shared_by<kWarpSize>(numbers(s)) - largest);
      if (i < head_size) value = fmaf(lines.sums(row, s)[i], factor, value);
    }
    if (i < head_size) put_element(to + i, value / sum);
  }
}

/// Copies one row of keys or values, in words of type Word.
template <typename Word>
__global__ void __launch_bounds__(kDecodeThreads)
    attention_append_kernel(const __grid_constant__ AttentionAppend a, int element_bytes) {
  const AttentionRows& from = blockIdx.y == 0 ? a.new_key : a.new_value;
  const AttentionRows& to = blockIdx.y == 0 ? a.key : a.value;
  const std::int64_t offset = load_shared_by<kWarpSize>(a.offset);
  const std::int64_t row = (offset < 0 ? 0 : offset) + blockIdx.x;
  if (row >= a.sizes.keys) return;
  const std::int64_t batch = blockIdx.z;
  const auto* source =
      reinterpret_cast<const Word*>(static_cast<const char*>(from.data) +
                                    (batch * from.batch + blockIdx.x * from.row) * element_bytes);
  auto* target = reinterpret_cast<Word*>(static_cast<char*>(to.data) +
                                         (batch * to.batch + row * to.row) * element_bytes);
  const int words =
      a.sizes.kv_heads * a.sizes.head_size * element_bytes / static_cast<int>(sizeof(Word));
  for (int i = threadIdx.x; i < words; i += kDecodeThreads) target[i] = source[i];
}

template <typename Element, int kVector, int kOwned>
cudaError_t launch(const AttentionDecode& a, cudaStream_t stream) {
  const int splits = splits_of(a.sizes);
  const int rows = a.sizes.batch * a.sizes.queries;
  attention_decode_kernel<Element, kVector, kOwned>
      <<<dim3(splits, a.sizes.kv_heads, rows), kDecodeThreads, 0, stream>>>(a);
  attention_combine_kernel<Element>
      <<<dim3(a.sizes.heads, rows), kDecodeThreads, 0, stream>>>(a, splits);
  return cudaGetLastError();
}

/// kVector elements make 16 bytes.
template <typename Element, int kVector>
cudaError_t launch_any(const AttentionDecode& a, cudaStream_t stream) {
  constexpr int kFor64 = 64 / kLanesPerRow / kVector;
  if (a.sizes.head_size % kVector != 0) return launch<Element, 1, 32>(a, stream);
  if (a.sizes.head_size <= 64) return launch<Element, kVector, kFor64>(a, stream);
  if (a.sizes.head_size <= 128) return launch<Element, kVector, 2 * kFor64>(a, stream);
  return launch<Element, kVector, 4 * kFor64>(a, stream);
}

}  // namespace

std::int64_t decode_workspace_floats(const AttentionSizes& sizes) {
  return static_cast<std::int64_t>(sizes.batch) * sizes.queries * sizes.heads * splits_of(sizes) *
         (sizes.head_size + 2);
}

cudaError_t attention_decode(const AttentionDecode& a, cudaStream_t stream) {
  return a.sizes.element == AttentionElement::kBf16 ? launch_any<__nv_bfloat16, 8>(a, stream)
                                                    : launch_any<float, 4>(a, stream);
}

cudaError_t attention_append(const AttentionAppend& a, cudaStream_t stream) {
  const dim3 grid(a.sizes.queries, 2, a.sizes.batch);
  const int element_bytes = a.sizes.element == AttentionElement::kBf16 ? 2 : 4;
  if (a.sizes.head_size * element_bytes % 16 == 0) {
    attention_append_kernel<uint4><<<grid, kDecodeThreads, 0, stream>>>(a, element_bytes);
  } else if (element_bytes == 4) {
    attention_append_kernel<std::uint32_t><<<grid, kDecodeThreads, 0, stream>>>(a, element_bytes);
  } else {
    attention_append_kernel<std::uint16_t><<<grid, kDecodeThreads, 0, stream>>>(a, element_bytes);
  }
  return cudaGetLastError();
}

}  // namespace ingot::cuda
