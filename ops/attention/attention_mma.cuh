// Building blocks of attention on tensor cores, from sm_80 on: tiles in shared memory, asynchronous
// copies into them, loads of matrix fragments and the bf16 product, each one PTX instruction.
//
// A tile holds rows of kHead bf16 (64 or 128), as chunks of 16 bytes. Chunk c of row r lies at
// chunk c ^ (r % 8) of that row: the eight rows that one phase of ldmatrix reads, and the chunks
// that one row of a copy writes, then fall on all 32 banks, so none of them conflict.
//
// Fragments of mma.m16n8k16, with g = lane / 4 and q = lane % 4: A holds rows g and g + 8, columns
// 2q, 2q + 1 and those 8 on; B columns g, rows 2q, 2q + 1 and those 8 on; C rows g and g + 8,
// columns 2q and 2q + 1. Two C fragments side by side, rounded to bf16, are one A fragment: scores
// become the left operand of the next product without leaving their registers.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>

#include "ops/attention/attention_math.cuh"

namespace ingot::cuda {

constexpr int kChunkElements = 8;  ///< bf16 in 16 bytes

__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

/// Copies 16 bytes to shared memory without passing through registers; zeros where not `valid`.
__device__ __forceinline__ void copy_chunk(std::uint32_t to, const void* from, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void copy_word(std::uint32_t to, const void* from, bool valid) {
  const int bytes = valid ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void finish_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

/// Four 8x8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void load_matrices(std::uint32_t (&to)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&to)[4],
                                                         std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address)
               : "memory");
}

/// sum += a b for one 16x16 by 16x8 product.
__device__ __forceinline__ void multiply(float (&sum)[4], const std::uint32_t (&a)[4],
                                         std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Two bf16 in a word, `low` in the lower half.
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
  std::uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

/// Two C fragments side by side as one A fragment.
__device__ __forceinline__ void pack_fragment(std::uint32_t (&a)[4], const float (&left)[4],
                                              const float (&right)[4]) {
  a[0] = pack(left[0], left[1]);
  a[1] = pack(left[2], left[3]);
  a[2] = pack(right[0], right[1]);
  a[3] = pack(right[2], right[3]);
}

/// Combines the values of the four lanes that share a row of a C fragment.
__device__ __forceinline__ float row_maximum(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}

/// Addresses within tiles of rows of kHead bf16.
template <int kHead>
struct Tile {
  static constexpr int kRowBytes = kHead * 2;
  static constexpr int kChunks = kHead / kChunkElements;

  __host__ __device__ static constexpr int bytes(int rows) { return rows * kRowBytes; }

  __device__ static std::uint32_t chunk(std::uint32_t tile, int row, int chunk) {
    return tile + row * kRowBytes + ((chunk ^ (row & 7)) << 4);
  }

  /// Lane address, at row `row` of a tile, of A fragments, and of B fragments that are loaded
  /// transposed (tile rows are what is summed over): 16 rows, then the next eight columns.
  __device__ static std::uint32_t rows_first(std::uint32_t tile, int row, int lane) {
    return chunk(tile, row + (lane & 15), lane >> 4);
  }
  /// Lane address of pairs of B fragments where tile rows are columns of the product: eight rows at
  /// 16 columns, then the next eight rows.
  __device__ static std::uint32_t columns_first(std::uint32_t tile, int row, int lane) {
    return chunk(tile, row + (lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
  }
  /// From such a lane address that of the fragment `row` rows (a multiple of 8) and 16 * step
  /// columns on. Only four exclusive ors differ; the rest folds into the instruction.
  __device__ static std::uint32_t at(std::uint32_t lane_address, int row, int step) {
    return (lane_address ^ ((step & 3) << 5)) + (step >> 2) * 128 + row * kRowBytes;
  }

  /// Starts the copy of `rows` rows of `head_size` elements, `stride` elements apart, by all of
  /// kThreads threads. Rows from `valid` on, and columns past head_size, become zeros.
  template <int kThreads>
  __device__ static void copy(std::uint32_t tile, const __nv_bfloat16* from, std::int64_t stride,
                              int rows, int valid, int head_size) {
    constexpr int kRowsPerPass = kThreads / kChunks;
    // Opaque, so that what follows from it is computed here and not kept in registers for the whole
    // kernel, which has none to spare.
    int thread = threadIdx.x;
    asm volatile("" : "+r"(thread));
    const int column = thread % kChunks;
    int row = thread / kChunks;
    const bool column_valid = column * kChunkElements < head_size;
    const __nv_bfloat16* source = from + row * stride + column * kChunkElements;
#pragma unroll 1
    for (int pass = 0; pass < rows / kRowsPerPass; ++pass) {
      const bool inside = row < valid && column_valid;
      copy_chunk(chunk(tile, row, column), inside ? source : from, inside);
      row += kRowsPerPass;
      source += kRowsPerPass * stride;
    }
  }

  /// Writes a warp's C fragments, 16 rows from `row` on times `factor`, as bf16 into the tile.
  __device__ static void put(std::uint32_t tile, int row, const float (&sums)[kHead / 8][4],
                             float factor_low, float factor_high, int lane) {
    const int low = row + (lane >> 2);
#pragma unroll
    for (int n = 0; n < kHead / 8; ++n) {
      const std::uint32_t within = (lane & 3) * 4;
      put_word(chunk(tile, low, n) + within,
               pack(sums[n][0] * factor_low, sums[n][1] * factor_low));
      put_word(chunk(tile, low + 8, n) + within,
               pack(sums[n][2] * factor_high, sums[n][3] * factor_high));
    }
  }

  /// Stores a warp's rows [row, row + count) of the tile that are below `valid` to memory, 16 bytes
  /// a lane, head_size elements a row.
  __device__ static void store(std::uint32_t tile, int row, int count, int valid, __nv_bfloat16* to,
                               std::int64_t stride, int head_size, int lane) {
    for (int i = lane; i < count * kChunks; i += kWarpSize) {
      const int at = row + i / kChunks;
      const int column = i % kChunks;
      if (at >= valid || column * kChunkElements >= head_size) continue;
      *reinterpret_cast<uint4*>(to + at * stride + column * kChunkElements) =
          get_chunk(chunk(tile, at, column));
    }
  }

 private:
  __device__ static void put_word(std::uint32_t address, std::uint32_t word) {
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(word) : "memory");
  }
  __device__ static uint4 get_chunk(std::uint32_t address) {
    uint4 value;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(address)
                 : "memory");
    return value;
  }
};

}  // namespace ingot::cuda
