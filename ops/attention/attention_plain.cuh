// Building blocks of attention by plain multiply-adds in f32, for every element type and head size:
// tiles of f32 in shared memory, and the two products that 256 threads, 16 by 16, compute of them.
// Thread (y, x) owns rows y * kR + i; of a product over the head it owns columns x * kC + j, of one
// over columns it owns chunks x + 16 * j of four head elements.
//
// Rows have kHead floats, as chunks of 16 bytes. Chunk c of row r lies at chunk
// c ^ ((r / kC) % 8) of the row: the eight lanes of one phase of a 16-byte access read either one
// address, or one chunk of rows kC apart, or eight neighbouring chunks of one row, and fall on all
// banks in each case.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "ops/attention/attention_dropout.cuh"
#include "ops/attention/attention_kernels.hpp"
#include "ops/attention/attention_math.cuh"

namespace ingot::cuda {

constexpr int kPlainThreads = 256;
constexpr int kPlainSide = 16;

__device__ __forceinline__ float element(float value) {
  return value;
}
__device__ __forceinline__ float element(__nv_bfloat16 value) {
  return __bfloat162float(value);
}
__device__ __forceinline__ void put_element(float* to, float value) {
  *to = value;
}
__device__ __forceinline__ void put_element(__nv_bfloat16* to, float value) {
  *to = __float2bfloat16(value);
}

/// Four elements of a 16-byte aligned row (8-byte aligned for bf16).
__device__ __forceinline__ float4 load_four(const float* from) {
  return *reinterpret_cast<const float4*>(from);
}
__device__ __forceinline__ float4 load_four(const __nv_bfloat16* from) {
  const uint2 words = *reinterpret_cast<const uint2*>(from);
  return {__uint_as_float(words.x << 16), __uint_as_float(words.x & 0xffff0000U),
          __uint_as_float(words.y << 16), __uint_as_float(words.y & 0xffff0000U)};
}
/// To global memory. Written as the instruction it is to be: the compiler takes a store of a vector
/// apart where it finds the scalar ones of the other branch to share.
__device__ __forceinline__ void store_four(float* to, const float4& value) {
  asm volatile("st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
               "f"(value.x), "f"(value.y), "f"(value.z), "f"(value.w)
               : "memory");
}
__device__ __forceinline__ void store_four(__nv_bfloat16* to, const float4& value) {
  const __nv_bfloat162 low = __floats2bfloat162_rn(value.x, value.y);
  const __nv_bfloat162 high = __floats2bfloat162_rn(value.z, value.w);
  asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)),
               "r"(*reinterpret_cast<const unsigned*>(&low)),
               "r"(*reinterpret_cast<const unsigned*>(&high))
               : "memory");
}

template <int kHead, int kR, int kC>
struct PlainTile {
  static constexpr int kChunks = kHead / 4;
  static constexpr int kOwnedChunks = kChunks / kPlainSide;

  __host__ __device__ static constexpr int bytes(int rows) { return rows * kHead * 4; }

  __device__ static float4& chunk(float* tile, int row, int column) {
    return *reinterpret_cast<float4*>(tile + row * kHead + ((column ^ ((row / kC) & 7)) << 2));
  }

  /// Fills `rows` rows. Rows from `valid` on and columns past head_size become zeros.
  template <typename Element>
  __device__ static void fill(float* tile, const Element* from, std::int64_t stride, int rows,
                              int valid, int head_size) {
    const bool by_four = head_size % 4 == 0;
#pragma unroll 4
    for (int i = threadIdx.x; i < rows * kChunks; i += kPlainThreads) {
      const int row = i / kChunks;
      const int column = i % kChunks;
      float4 value = {0, 0, 0, 0};
      if (row < valid && column * 4 < head_size) {
        const Element* source = from + row * stride + column * 4;
        if (by_four) {
          value = load_four(source);
        } else {
          const int count = head_size - column * 4;
          value.x = element(source[0]);
          if (count > 1) value.y = element(source[1]);
          if (count > 2) value.z = element(source[2]);
          if (count > 3) value.w = element(source[3]);
        }
      }
      chunk(tile, row, column) = value;
    }
  }

  /// product[i][j] = row (y * kR + i) of `left` times row (x * kC + j) of `right`.
  __device__ static void multiply(float (&product)[kR][kC], float* left, float* right, int y, int x,
                                  int head_size) {
#pragma unroll
    for (int i = 0; i < kR * kC; ++i) product[i / kC][i % kC] = 0;
#pragma unroll 4
    for (int c = 0; c < (head_size + 3) / 4; ++c) {
      float4 a[kR];
      float4 b[kC];
#pragma unroll
      for (int i = 0; i < kR; ++i) a[i] = chunk(left, y * kR + i, c);
#pragma unroll
      for (int j = 0; j < kC; ++j) b[j] = chunk(right, x * kC + j, c);
#pragma unroll
      for (int i = 0; i < kR; ++i) {
#pragma unroll
        for (int j = 0; j < kC; ++j) {
          float& sum = product[i][j];
          sum = fmaf(a[i].x, b[j].x, sum);
          sum = fmaf(a[i].y, b[j].y, sum);
          sum = fmaf(a[i].z, b[j].z, sum);
          sum = fmaf(a[i].w, b[j].w, sum);
        }
      }
    }
  }

  /// Sums over the head: chunks x + 16 * j of rows y * kR + i.
  using Sums = float4[kR][kOwnedChunks];

  /// sums += (weights of rows y * kR + i for 16 * kC columns) times (16 * kC rows of `right`).
  __device__ static void accumulate(Sums& sums, const float* weights, float* right, int y, int x) {
    constexpr int kColumns = kPlainSide * kC;
#pragma unroll 2
    for (int k = 0; k < kColumns; k += 4) {
      float4 w[kR];
#pragma unroll
      for (int i = 0; i < kR; ++i) {
        w[i] = *reinterpret_cast<const float4*>(weights + (y * kR + i) * kPitch + k);
      }
#pragma unroll
      for (int j = 0; j < kOwnedChunks; ++j) {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const float4 value = chunk(right, k + part, x + kPlainSide * j);
#pragma unroll
          for (int i = 0; i < kR; ++i) {
            const float weight = part == 0   ? w[i].x
                                 : part == 1 ? w[i].y
                                 : part == 2 ? w[i].z
                                             : w[i].w;
            float4& sum = sums[i][j];
            sum.x = fmaf(weight, value.x, sum.x);
            sum.y = fmaf(weight, value.y, sum.y);
            sum.z = fmaf(weight, value.z, sum.z);
            sum.w = fmaf(weight, value.w, sum.w);
          }
        }
      }
    }
  }

  /// Floats between rows of weights. With one column per thread a warp writes half rows of two rows
  /// at once, which padding puts on different banks.
  static constexpr int kPitch = kC == 1 && kR > 1 ? 24 : kPlainSide* kC;
  static constexpr int kWeightBytes = kPlainSide * kR * kPitch * 4;

  __device__ static void put_weights(float* weights, const float (&values)[kR][kC], int y, int x) {
#pragma unroll
    for (int i = 0; i < kR; ++i) {
      float* row = weights + (y * kR + i) * kPitch + x * kC;
      if constexpr (kC == 4) {
        *reinterpret_cast<float4*>(row) = {values[i][0], values[i][1], values[i][2], values[i][3]};
      } else if constexpr (kC == 2) {
        *reinterpret_cast<float2*>(row) = {values[i][0], values[i][1]};
      } else {
        *row = values[i][0];
      }
    }
  }

  /// Stores the thread's sums of row y * kR + i times `factor` to a row of head_size elements.
  template <typename Element>
  __device__ static void store(const float4 (&sums)[kOwnedChunks], float factor, Element* to, int x,
                               int head_size) {
    const bool by_four = head_size % 4 == 0;
#pragma unroll
    for (int j = 0; j < kOwnedChunks; ++j) {
      const int at = (x + kPlainSide * j) * 4;
      const float4 value = {sums[j].x * factor, sums[j].y * factor, sums[j].z * factor,
                            sums[j].w * factor};
      if (at >= head_size) continue;
      if (by_four) {
        store_four(to + at, value);
      } else {
        put_element(to + at, value.x);
        if (at + 1 < head_size) put_element(to + at + 1, value.y);
        if (at + 2 < head_size) put_element(to + at + 2, value.z);
        if (at + 3 < head_size) put_element(to + at + 3, value.w);
      }
    }
  }
};

template <typename Element>
__device__ __forceinline__ Element* plain_rows(const AttentionRows& rows, int batch, int head,
                                               int head_size) {
  return static_cast<Element*>(rows.data) + batch * rows.batch + head * head_size;
}

/// Combines the values of the 16 lanes that share rows.
__device__ __forceinline__ float side_maximum(float value) {
#pragma unroll
  for (int mask = 1; mask < kPlainSide; mask *= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffU, value, mask));
  }
  return value;
}
__device__ __forceinline__ float side_sum(float value) {
#pragma unroll
  for (int mask = 1; mask < kPlainSide; mask *= 2) {
    value += __shfl_xor_sync(0xffffffffU, value, mask);
  }
  return value;
}

}  // namespace ingot::cuda
