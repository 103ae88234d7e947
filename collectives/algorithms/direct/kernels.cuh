// The device code of direct collectives. One rule keeps it correct: block b of a rank reads from
// its peers nothing but what their blocks b staged, so that blocks meet only their namesakes.
// Why two halves of staging suffice, and why each fence is there, is told in README.md.
#pragma once

#include <cstdint>
#include <type_traits>

#include "collectives/algorithms/direct/kernels.hpp"
#include "collectives/flight_stamp.cuh"
#include "ops/base/bf16.hpp"

namespace ingot::direct {

/// What a test leaves out of a kernel, to see that it is missed. The product leaves out nothing.
enum class Omit : std::uint8_t {
  kNothing,
  kBarrierBefore,  ///< of the block, before it tells its peers
  kRelease,        ///< flags are set without ordering what was written before
  kWait,           ///< flags are not looked at
  kAcquire,        ///< flags are read without ordering what is read later
  kBarrierAfter,   ///< of the block, after its peers have come
  kSecondMeeting,  ///< of two-shot
  kSecondHalf,     ///< every call stages in the same memory
};

// Words of memory ---------------------------------------------------------------------------------

__device__ inline uint4 load_vector(const uint4* from) {
  uint4 v;
  // Not the compiler's choice: it must neither be moved across a meeting nor go through the
  // read-only cache, which does not see what peers write.
  asm volatile("ld.global.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(__cvta_generic_to_global(from))
               : "memory");
  return v;
}
__device__ inline void store_vector(uint4* to, uint4 v) {
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
               "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
               : "memory");
}

template <bool kRelease>
__device__ inline void store_flag(std::uint64_t* to, std::uint64_t value) {
  const std::size_t address = __cvta_generic_to_global(to);
  if constexpr (kRelease) {
    asm volatile("st.release.sys.global.u64 [%0], %1;" ::"l"(address), "l"(value) : "memory");
  } else {
    asm volatile("st.relaxed.sys.global.u64 [%0], %1;" ::"l"(address), "l"(value) : "memory");
  }
}
template <bool kAcquire>
__device__ inline std::uint64_t load_flag(const std::uint64_t* from) {
  const std::size_t address = __cvta_generic_to_global(from);
  std::uint64_t value;
  if constexpr (kAcquire) {
    asm volatile("ld.acquire.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(address) : "memory");
  } else {
    asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(value) : "l"(address) : "memory");
  }
  return value;
}

__device__ inline std::uint32_t load_host_word(const std::uint32_t* from) {
  std::uint32_t value;
  asm volatile("ld.relaxed.sys.global.u32 %0, [%1];"
               : "=r"(value)
               : "l"(__cvta_generic_to_global(from))
               : "memory");
  return value;
}

/// Elements of 1, 2, 4 or 8 bytes in the caller's memory, which need not be aligned to vectors.
/// Element e of vector i is element i*kElements + e of an array of `count`.
template <typename Unit>
struct Array {
  static constexpr int kElements = kVectorBytes / static_cast<int>(sizeof(Unit));
  Unit* data;
  std::int64_t count;
  bool aligned;

  __device__ Array(void* memory, std::int64_t elements)
      : data(static_cast<Unit*>(memory)),
        count(elements),
        aligned(reinterpret_cast<std::uintptr_t>(memory) % kVectorBytes == 0) {}

  /// Zeros take the place of elements beyond the end.
  __device__ uint4 load(std::int64_t vector) const {
    const std::int64_t first = vector * kElements;
    if (aligned && first + kElements <= count) {
      return load_vector(reinterpret_cast<const uint4*>(data + first));
    }
    std::uint32_t words[4] = {};
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      if (first + e >= count) continue;
      const Unit unit = data[first + e];
      if constexpr (sizeof(Unit) == 8) {
        words[2 * e] = static_cast<std::uint32_t>(unit);
        words[2 * e + 1] = static_cast<std::uint32_t>(unit >> 32);
      } else {
        constexpr int kPerWord = 4 / static_cast<int>(sizeof(Unit));
        constexpr int kBits = 8 * static_cast<int>(sizeof(Unit));
        words[e / kPerWord] |= static_cast<std::uint32_t>(unit) << (e % kPerWord * kBits % 32);
      }
    }
    return {words[0], words[1], words[2], words[3]};
  }
  __device__ void store(std::int64_t vector, uint4 v) const {
    const std::int64_t first = vector * kElements;
    if (aligned && first + kElements <= count) {
      return store_vector(reinterpret_cast<uint4*>(data + first), v);
    }
    const std::uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      if (first + e >= count) continue;
      if constexpr (sizeof(Unit) == 8) {
        data[first + e] = words[2 * e] | static_cast<std::uint64_t>(words[2 * e + 1]) << 32;
      } else {
        constexpr int kPerWord = 4 / static_cast<int>(sizeof(Unit));
        constexpr int kBits = 8 * static_cast<int>(sizeof(Unit));
        data[first + e] = static_cast<Unit>(words[e / kPerWord] >> (e % kPerWord * kBits % 32));
      }
    }
  }
};

template <int kBytes>
struct UnitOf;
template <>
struct UnitOf<1> {
  using Type = std::uint8_t;
};
template <>
struct UnitOf<2> {
  using Type = std::uint16_t;
};
template <>
struct UnitOf<4> {
  using Type = std::uint32_t;
};
template <>
struct UnitOf<8> {
  using Type = std::uint64_t;
};
template <typename T>
using Unit = typename UnitOf<static_cast<int>(sizeof(T))>::Type;

// Meetings ----------------------------------------------------------------------------------------

/// A call on its way through a lane.
struct Turn {
  std::uint64_t number;  ///< of the call in its lane, from 0; the same on all ranks
  std::int64_t half;     ///< bytes from the begin of staging to the half that it uses

  __device__ bool cancelled() const { return number == kCancelled; }
  __device__ uint4* staged(const Lane& lane, int rank) const {
    return reinterpret_cast<uint4*>(lane.staging[rank] + half);
  }
};

template <Omit kOmit>
__device__ inline Turn begin(const Lane& lane) {
  const std::uint64_t number = lane.state->calls;
  // By a thread that no peer waits for.
  if (number != kCancelled && blockIdx.x == 0 && threadIdx.x == kThreads - 1) {
    make_stamp<false>(lane.stamps.start, lane.stamps.start_counter, lane.stamps.number);
  }
  const bool second = kOmit != Omit::kSecondHalf && number % 2 != 0;
  return {number, second ? lane.half_bytes : 0};
}

/// Looks at a peer's flag here until the peer has come that far; false where the calls are
/// cancelled meanwhile.
template <bool kAcquire>
__device__ inline bool wait_for(const std::uint64_t* flag, std::uint64_t come,
                                const std::uint32_t* cancelled) {
  for (std::uint32_t looks = 1; load_flag<kAcquire>(flag) < come; ++looks) {
    if (looks % kLooks == 0 && load_host_word(cancelled) != 0) return false;
  }
  return true;
}

/// Returns true when block blockIdx.x of every rank has come here for the `meeting`-th time (1, 2)
/// in this call: all that these blocks wrote before can then be read. False, for the whole block,
/// where one did not come until the calls were cancelled.
template <Omit kOmit>
__device__ inline bool meet(const Lane& lane, const Turn& turn, int meeting) {
  if (kOmit == Omit::kSecondMeeting && meeting == 2) return true;
  const std::uint64_t come = 2 * turn.number + static_cast<std::uint64_t>(meeting);
  // What the whole block wrote is before thread p's release, and so before what follows peer p's
  // acquire: a barrier and a release that follow one another order cumulatively.
  if constexpr (kOmit != Omit::kBarrierBefore) __syncthreads();
  const int peer = static_cast<int>(threadIdx.x);
  bool missed = false;
  if (peer < lane.ranks && peer != lane.rank) {
    const std::int64_t place = std::int64_t{blockIdx.x} * kMaxRanks;
    store_flag<kOmit != Omit::kRelease>(lane.flags[peer] + place + lane.rank, come);
    // A peer may be one meeting ahead already. Flags only grow.
    const std::uint64_t* flag = lane.flags[lane.rank] + place + peer;
    if constexpr (kOmit != Omit::kWait) {
      missed = !wait_for<kOmit != Omit::kAcquire>(flag, come, lane.cancelled);
    }
  }
  if constexpr (kOmit != Omit::kBarrierAfter) return __syncthreads_or(missed) == 0;
  return !missed;
}

/// The last block to come here counts the call, for the next kernel of the lane to see. A block has
/// read the old count before its last meeting. Where a block `missed` a peer, the call is not
/// complete, and what follows in the lane returns at once.
__device__ inline void end(const Lane& lane, const Turn& turn, bool missed = false) {
  if (threadIdx.x != 0) return;
  const std::uint32_t mine = missed ? 1 + kCancelledBlock : 1;
  std::uint32_t before = 0;
  if (gridDim.x > 1) {
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(__cvta_generic_to_global(&lane.state->finished_blocks)), "r"(mine)
                 : "memory");
  }
  const std::uint32_t all = before + mine;
  if (all % kCancelledBlock != gridDim.x) return;
  if (all >= kCancelledBlock) {
    lane.state->calls = kCancelled;
    return;
  }
  lane.state->finished_blocks = 0;
  lane.state->calls = turn.number + 1;
  make_stamp<false>(lane.stamps.finish, lane.stamps.finish_counter, lane.stamps.number);
}

// Arithmetic --------------------------------------------------------------------------------------

/// A vector as numbers that are added: bf16 in f32, others as they are.
template <typename T>
struct Numbers {
  static constexpr int kCount = kVectorBytes / static_cast<int>(sizeof(T));
  T values[kCount];

  static __device__ Numbers of(uint4 v) {
    const std::uint32_t words[4] = {v.x, v.y, v.z, v.w};
    Numbers numbers;
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      if constexpr (std::is_same_v<T, float>) {
        numbers.values[e] = __uint_as_float(words[e]);
      } else if constexpr (std::is_same_v<T, double>) {
        numbers.values[e] =
            __hiloint2double(static_cast<int>(words[2 * e + 1]), static_cast<int>(words[2 * e]));
      } else if constexpr (sizeof(T) == 8) {
        numbers.values[e] =
            static_cast<T>(words[2 * e] | static_cast<std::uint64_t>(words[2 * e + 1]) << 32);
      } else {
        constexpr int kPerWord = 4 / static_cast<int>(sizeof(T));
        constexpr int kBits = 8 * static_cast<int>(sizeof(T));
        numbers.values[e] = static_cast<T>(words[e / kPerWord] >> (e % kPerWord * kBits % 32));
      }
    }
    return numbers;
  }
  __device__ uint4 packed() const {
    std::uint32_t words[4] = {};
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      if constexpr (std::is_same_v<T, float>) {
        words[e] = __float_as_uint(values[e]);
      } else if constexpr (std::is_same_v<T, double>) {
        words[2 * e] = static_cast<std::uint32_t>(__double2loint(values[e]));
        words[2 * e + 1] = static_cast<std::uint32_t>(__double2hiint(values[e]));
      } else if constexpr (sizeof(T) == 8) {
        words[2 * e] = static_cast<std::uint32_t>(values[e]);
        words[2 * e + 1] = static_cast<std::uint32_t>(static_cast<std::uint64_t>(values[e]) >> 32);
      } else {
        constexpr int kPerWord = 4 / static_cast<int>(sizeof(T));
        constexpr int kBits = 8 * static_cast<int>(sizeof(T));
        words[e / kPerWord] |= static_cast<std::uint32_t>(static_cast<Unit<T>>(values[e]))
                               << (e % kPerWord * kBits % 32);
      }
    }
    return {words[0], words[1], words[2], words[3]};
  }
};

template <>
struct Numbers<Bf16> {
  static constexpr int kCount = 8;
  float values[kCount];

  static __device__ Numbers of(uint4 v) {
    const std::uint32_t words[4] = {v.x, v.y, v.z, v.w};
    Numbers numbers;
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      numbers.values[2 * w] = __uint_as_float(words[w] << 16);
      numbers.values[2 * w + 1] = __uint_as_float(words[w] & 0xffff0000U);
    }
    return numbers;
  }
  /// Rounds to nearest even.
  __device__ uint4 packed() const {
    std::uint32_t words[4];
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      asm("cvt.rn.bf16x2.f32 %0, %1, %2;"
          : "=r"(words[w])
          : "f"(values[2 * w + 1]), "f"(values[2 * w]));
    }
    return {words[0], words[1], words[2], words[3]};
  }
};

struct Sum {
  template <typename V>
  __device__ V operator()(V a, V b) const {
    return static_cast<V>(a + b);
  }
};
struct Min {
  template <typename V>
  __device__ V operator()(V a, V b) const {
    return b < a ? b : a;
  }
};
struct Max {
  template <typename V>
  __device__ V operator()(V a, V b) const {
    return a < b ? b : a;
  }
};

/// The node of the aligned binary tree over the ranks that covers [kFirst, kFirst + kSpan), as far
/// as they exist: left half plus right half, or the left one alone. The order of
/// algorithms/reduction_tree.hpp where each rank has one partial sum.
template <typename T, int kFirst, int kSpan, typename Combine>
__device__ inline Numbers<T> subtree(const uint4 (&parts)[kMaxRanks], int ranks, Combine combine) {
  if constexpr (kSpan == 1) {
    return Numbers<T>::of(parts[kFirst]);
  } else {
    constexpr int kMiddle = kFirst + kSpan / 2;
    Numbers<T> left = subtree<T, kFirst, kSpan / 2>(parts, ranks, combine);
    if (kMiddle < ranks) {
      const Numbers<T> right = subtree<T, kMiddle, kSpan / 2>(parts, ranks, combine);
#pragma unroll
      for (int e = 0; e < Numbers<T>::kCount; ++e) {
        left.values[e] = combine(left.values[e], right.values[e]);
      }
    }
    return left;
  }
}

/// The reduction over ranks of vector `index` of everybody's staging; this rank's part is `own`.
template <typename T>
__device__ inline uint4 reduced(const Lane& lane, const Turn& turn, std::int64_t index, uint4 own,
                                Reduction reduction) {
  uint4 parts[kMaxRanks];
  // All loads are on their way before the first is waited for.
#pragma unroll
  for (int rank = 0; rank < kMaxRanks; ++rank) {
    if (rank >= lane.ranks) continue;
    parts[rank] = rank == lane.rank ? own : load_vector(turn.staged(lane, rank) + index);
  }
  if (reduction == Reduction::kMin) {
    return subtree<T, 0, kMaxRanks>(parts, lane.ranks, Min()).packed();
  }
  if (reduction == Reduction::kMax) {
    return subtree<T, 0, kMaxRanks>(parts, lane.ranks, Max()).packed();
  }
  return subtree<T, 0, kMaxRanks>(parts, lane.ranks, Sum()).packed();
}

// Kernels -----------------------------------------------------------------------------------------

struct Range {
  std::int64_t begin;
  std::int64_t step;
};
/// The vectors that this thread works on, the same of everybody's staging on all ranks.
__device__ inline Range own_vectors() {
  return {std::int64_t{blockIdx.x} * kThreads + threadIdx.x, std::int64_t{gridDim.x} * kThreads};
}

/// One-shot: everybody stages all of its data, and reads and reduces all of everybody's.
template <typename T, Omit kOmit>
__global__ void __launch_bounds__(kThreads)
    one_shot_kernel(Lane lane, void* memory, std::int64_t count, Reduction reduction) {
  const Turn turn = begin<kOmit>(lane);
  if (turn.cancelled()) return;
  const Array<Unit<T>> data(memory, count);
  const std::int64_t vectors = vectors_of(count, sizeof(T));
  const Range range = own_vectors();
  uint4* own = turn.staged(lane, lane.rank);
  for (std::int64_t i = range.begin; i < vectors; i += range.step)
    store_vector(own + i, data.load(i));
  if (!meet<kOmit>(lane, turn, 1)) return end(lane, turn, true);
  for (std::int64_t i = range.begin; i < vectors; i += range.step) {
    data.store(i, reduced<T>(lane, turn, i, data.load(i), reduction));
  }
  end(lane, turn);
}

/// Two-shot: rank r reduces slice r of everybody's data, then everybody collects the slices.
template <typename T, Omit kOmit>
__global__ void __launch_bounds__(kThreads)
    two_shot_kernel(Lane lane, void* memory, std::int64_t count, Reduction reduction) {
  const Turn turn = begin<kOmit>(lane);
  if (turn.cancelled()) return;
  const Array<Unit<T>> data(memory, count);
  const std::int64_t vectors = vectors_of(count, sizeof(T));
  const std::int64_t slice = (vectors + lane.ranks - 1) / lane.ranks;
  const Range range = own_vectors();
  uint4* own = turn.staged(lane, lane.rank);
  const auto for_peers = [&](std::int64_t place, const auto& work) {
    for (int step = 1; step < lane.ranks; ++step) {
      const int peer = (lane.rank + step) % lane.ranks;
      const std::int64_t i = peer * slice + place;
      if (i < vectors) work(peer, i);
    }
  };
  for (std::int64_t place = range.begin; place < slice; place += range.step) {
    for_peers(place, [&](int, std::int64_t i) { store_vector(own + i, data.load(i)); });
  }
  if (!meet<kOmit>(lane, turn, 1)) return end(lane, turn, true);
  for (std::int64_t place = range.begin; place < slice; place += range.step) {
    const std::int64_t i = lane.rank * slice + place;
    if (i >= vectors) continue;
    const uint4 result = reduced<T>(lane, turn, i, data.load(i), reduction);
    data.store(i, result);
    // Nobody has read this slice of this rank's staging yet.
    store_vector(own + i, result);
  }
  if (!meet<kOmit>(lane, turn, 2)) return end(lane, turn, true);
  for (std::int64_t place = range.begin; place < slice; place += range.step) {
    for_peers(place, [&](int peer, std::int64_t i) {
      data.store(i, load_vector(turn.staged(lane, peer) + i));
    });
  }
  end(lane, turn);
}

template <typename T, Omit kOmit>
__global__ void __launch_bounds__(kThreads)
    reduce_scatter_kernel(Lane lane, void* to, const void* from, std::int64_t count,
                          std::int64_t stride, Reduction reduction) {
  const Turn turn = begin<kOmit>(lane);
  if (turn.cancelled()) return;
  const std::int64_t vectors = vectors_of(count, sizeof(T));
  const Range range = own_vectors();
  uint4* own = turn.staged(lane, lane.rank);
  const auto block = [&](int rank) {
    return Array<Unit<T>>(static_cast<Unit<T>*>(const_cast<void*>(from)) + rank * stride, count);
  };
  for (int step = 1; step < lane.ranks; ++step) {
    const int peer = (lane.rank + step) % lane.ranks;
    const Array<Unit<T>> data = block(peer);
    for (std::int64_t i = range.begin; i < vectors; i += range.step) {
      store_vector(own + peer * vectors + i, data.load(i));
    }
  }
  if (!meet<kOmit>(lane, turn, 1)) return end(lane, turn, true);
  const Array<Unit<T>> mine = block(lane.rank);
  const Array<Unit<T>> result(to, count);
  for (std::int64_t i = range.begin; i < vectors; i += range.step) {
    result.store(i, reduced<T>(lane, turn, lane.rank * vectors + i, mine.load(i), reduction));
  }
  end(lane, turn);
}

/// all_gather, all_to_all, broadcast and barrier: what only moves.
template <typename Unit, Omit kOmit>
__global__ void __launch_bounds__(kThreads)
    exchange_kernel(Lane lane, Movement movement, int root, void* to, const void* from,
                    std::int64_t count, std::int64_t stride) {
  const Turn turn = begin<kOmit>(lane);
  if (turn.cancelled()) return;
  const std::int64_t vectors = vectors_of(count, sizeof(Unit));
  const Range range = own_vectors();
  uint4* own = turn.staged(lane, lane.rank);
  const auto array = [&](const void* memory, int block) {
    return Array<Unit>(static_cast<Unit*>(const_cast<void*>(memory)) + block * stride, count);
  };
  const bool to_all = movement == Movement::kAllToAll;
  const bool gathers = movement == Movement::kAllGather;
  const auto each = [&](const auto& work) {
    for (std::int64_t i = range.begin; i < vectors; i += range.step) work(i);
  };
  if (to_all) {
    for (int step = 1; step < lane.ranks; ++step) {
      const int peer = (lane.rank + step) % lane.ranks;
      const Array<Unit> data = array(from, peer);
      each([&](std::int64_t i) { store_vector(own + peer * vectors + i, data.load(i)); });
    }
  } else if (gathers || lane.rank == root) {
    const Array<Unit> data = array(gathers ? from : to, 0);
    each([&](std::int64_t i) { store_vector(own + i, data.load(i)); });
  }
  if (!meet<kOmit>(lane, turn, 1)) return end(lane, turn, true);
  if (to_all || gathers) {
    const std::int64_t first = to_all ? lane.rank * vectors : 0;
    for (int step = 1; step < lane.ranks; ++step) {
      const int peer = (lane.rank + step) % lane.ranks;
      const Array<Unit> data = array(to, peer);
      const uint4* theirs = turn.staged(lane, peer) + first;
      each([&](std::int64_t i) { data.store(i, load_vector(theirs + i)); });
    }
    const Array<Unit> source = array(from, to_all ? lane.rank : 0);
    const Array<Unit> data = array(to, lane.rank);
    if (source.data != data.data) {
      each([&](std::int64_t i) { data.store(i, source.load(i)); });
    }
  } else if (lane.rank != root) {
    const Array<Unit> data = array(to, 0);
    const uint4* theirs = turn.staged(lane, root);
    each([&](std::int64_t i) { data.store(i, load_vector(theirs + i)); });
  }
  end(lane, turn);
}

}  // namespace ingot::direct
