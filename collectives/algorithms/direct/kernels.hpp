// What the kernels of direct collectives are told; between the host code (direct_cuda.cpp) and the
// device code (kernels.cuh). README.md here has the protocol. Plain: nvcc reads this file too.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "collectives/flight_stamps.hpp"

namespace ingot::direct {

constexpr int kMaxRanks = 8;
constexpr int kMaxBlocks = 32;  ///< that a lane has flags for
constexpr int kThreads = 256;
constexpr int kVectorBytes = 16;  ///< of one access; staging is cut into these

enum class Reduction : std::uint8_t { kSum, kMin, kMax };
enum class Movement : std::uint8_t { kAllGather, kAllToAll, kBroadcast, kBarrier };

/// Of one lane, in the rank's own memory: what its kernels hand on to the next one.
struct LaneState {
  std::uint64_t calls = 0;            ///< that are complete; kCancelled: no more will be
  std::uint32_t finished_blocks = 0;  ///< of the call that runs, plus kCancelledBlock for some
};
constexpr std::uint64_t kCancelled = ~std::uint64_t{0};
constexpr std::uint32_t kCancelledBlock = 1U << 16;  ///< of each block whose peers did not come

/// Looks at a flag between two looks at whether the calls are cancelled, which lies in the host's
/// memory: at half a microsecond each, a call that takes less than 100 us never asks.
constexpr int kLooks = 256;

/// One lane as a rank sees it. The calls of a lane run one after the other; lanes know nothing of
/// each other. A kernel's argument.
struct Lane {
  int rank = 0;
  int ranks = 1;
  int most_blocks = 1;                   ///< of a launch; the same on all ranks
  std::int64_t half_bytes = 0;           ///< of one of the two halves of staging
  std::byte* staging[kMaxRanks] = {};    ///< of each rank
  std::uint64_t* flags[kMaxRanks] = {};  ///< of each rank: [block][rank that sets it]
  LaneState* state = nullptr;
  const std::uint32_t* cancelled = nullptr;  ///< the host's: not 0 when nobody is to wait any more
  StampTarget stamps;                        ///< of the call that is launched
};

/// Bytes of a lane's flags.
constexpr std::int64_t kFlagBytes = std::int64_t{kMaxBlocks} * kMaxRanks * 8;

/// Vectors that `count` elements of `element` bytes are staged in.
__host__ __device__ constexpr std::int64_t vectors_of(std::int64_t count, std::int64_t element) {
  return (count * element + kVectorBytes - 1) / kVectorBytes;
}

/// Blocks for a call whose threads take turns at this many vectors. The same on all ranks.
constexpr unsigned blocks_for(const Lane& lane, std::int64_t vectors) {
  const std::int64_t all = (vectors + kThreads - 1) / kThreads;
  return static_cast<unsigned>(all < 1 ? 1 : all > lane.most_blocks ? lane.most_blocks : all);
}

/// Reductions of T: f32, bf16 (added in f32), f64 and integers. Counts are as in Communicator, and
/// what is staged fits a half: `count` elements per rank for all_reduce, ranks times vectors_of()
/// one block for reduce_scatter, whose blocks begin `stride` elements apart.
template <typename T>
struct Reductions {
  static void one_shot(const Lane& lane, cudaStream_t stream, void* data, std::int64_t count,
                       Reduction reduction);
  static void two_shot(const Lane& lane, cudaStream_t stream, void* data, std::int64_t count,
                       Reduction reduction);
  static void reduce_scatter(const Lane& lane, cudaStream_t stream, void* to, const void* from,
                             std::int64_t count, std::int64_t stride, Reduction reduction);
};

/// What only moves, in units of `bytes` (1, 2, 4, 8) each; in place where Communicator's are.
void launch_movement(const Lane& lane, cudaStream_t stream, Movement movement, int root, void* to,
                     const void* from, std::int64_t count, std::int64_t stride, int bytes);

}  // namespace ingot::direct
