// Reading and writing f32 and bf16 memory in accesses of up to 16 bytes, computing in f32.
//
// A Packed<T, N> is N elements as they lie in memory, in registers: 16-byte vectors (four floats,
// eight bf16) where addresses allow it, single elements where they do not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/base/bf16.hpp"

namespace ingot::cuda {

/// Elements of T in one 16-byte access.
template <typename T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

/// Two floats as bf16 in one word, rounded to nearest even.
__device__ inline std::uint32_t bf16_pair(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
__device__ inline std::uint16_t bf16_bits(float value) {
  std::uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

template <typename T, int N>
struct Packed {
  static constexpr int kBytes = static_cast<int>(sizeof(T)) * N;
  static constexpr int kWords = kBytes < 4 ? 1 : kBytes / 4;
  static_assert(kBytes == 16 || kBytes == 8 || kBytes == 4 || kBytes == 2);
  std::uint32_t words[kWords];

  static __device__ Packed load(const T* from) {
    Packed packed;
    if constexpr (kBytes == 16) {
      const uint4 word = *reinterpret_cast<const uint4*>(from);
      packed.words[0] = word.x;
      packed.words[1] = word.y;
      packed.words[2] = word.z;
      packed.words[3] = word.w;
    } else if constexpr (kBytes == 8) {
      const uint2 word = *reinterpret_cast<const uint2*>(from);
      packed.words[0] = word.x;
      packed.words[1] = word.y;
    } else if constexpr (kBytes == 4) {
      packed.words[0] = *reinterpret_cast<const std::uint32_t*>(from);
    } else {
      packed.words[0] = *reinterpret_cast<const std::uint16_t*>(from);
    }
    return packed;
  }

  /// To global memory. Written as the instruction it is to be: the compiler takes a store of a
  /// vector apart, and where a loop advances the pointer it does not put it together again.
  __device__ void store(T* to) const {
    const std::size_t address = __cvta_generic_to_global(to);
    if constexpr (kBytes == 16) {
      asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(words[0]),
                   "r"(words[1]), "r"(words[2]), "r"(words[3])
                   : "memory");
    } else if constexpr (kBytes == 8) {
      asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(address), "r"(words[0]), "r"(words[1])
                   : "memory");
    } else {
      store_word(to);
    }
  }
  /// To shared memory.
  __device__ void store_shared(T* to) const {
    const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(to));
    if constexpr (kBytes == 16) {
      asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(words[0]),
                   "r"(words[1]), "r"(words[2]), "r"(words[3])
                   : "memory");
    } else if constexpr (kBytes == 8) {
      asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(address), "r"(words[0]), "r"(words[1])
                   : "memory");
    } else {
      store_word(to);
    }
  }

  static __device__ Packed zero() {
    Packed packed;
#pragma unroll
    for (int i = 0; i < kWords; ++i) packed.words[i] = 0;
    return packed;
  }

  static __device__ Packed of(const float (&values)[N]) {
    Packed packed;
    if constexpr (sizeof(T) == 4) {
#pragma unroll
      for (int i = 0; i < N; ++i) packed.words[i] = __float_as_uint(values[i]);
    } else if constexpr (N == 1) {
      packed.words[0] = bf16_bits(values[0]);
    } else {
#pragma unroll
      for (int i = 0; i < N / 2; ++i) {
        packed.words[i] = bf16_pair(values[2 * i], values[2 * i + 1]);
      }
    }
    return packed;
  }

  __device__ void unpack(float (&values)[N]) const {
    if constexpr (sizeof(T) == 4) {
#pragma unroll
      for (int i = 0; i < N; ++i) values[i] = __uint_as_float(words[i]);
    } else if constexpr (N == 1) {
      values[0] = __uint_as_float(words[0] << 16);
    } else {
#pragma unroll
      for (int i = 0; i < N / 2; ++i) {
        values[2 * i] = __uint_as_float(words[i] << 16);
        values[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000U);
      }
    }
  }

 private:
  __device__ void store_word(T* to) const {
    if constexpr (kBytes == 4) {
      *reinterpret_cast<std::uint32_t*>(to) = words[0];
    } else {
      *reinterpret_cast<std::uint16_t*>(to) = static_cast<std::uint16_t>(words[0]);
    }
  }
};

template <int N, typename T>
__device__ inline void load_floats(const T* from, float (&values)[N]) {
  Packed<T, N>::load(from).unpack(values);
}
template <int N, typename T>
__device__ inline void store_floats(T* to, const float (&values)[N]) {
  Packed<T, N>::of(values).store(to);
}
template <int N, typename T>
__device__ inline void store_floats_shared(T* to, const float (&values)[N]) {
  Packed<T, N>::of(values).store_shared(to);
}
template <typename T>
__device__ inline float load_float(const T* from) {
  float value[1];
  load_floats(from, value);
  return value[0];
}
template <typename T>
__device__ inline void store_float(T* to, float value) {
  const float values[1] = {value};
  store_floats(to, values);
}

}  // namespace ingot::cuda
