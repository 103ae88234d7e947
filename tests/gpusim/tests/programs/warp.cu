// Operations between the lanes of a warp, and code that relies on lanes making progress on their
// own: locks between lanes, barriers met in different branches.
#include "check.cuh"

__global__ void shuffles(int* out) {
  const int lane = threadIdx.x;
  int* row = out + lane * 8;
  row[0] = __shfl_sync(0xffffffff, lane * 10, 5);
  row[1] = __shfl_up_sync(0xffffffff, lane, 3);
  row[2] = __shfl_down_sync(0xffffffff, lane, 3, 8);
  row[3] = __shfl_xor_sync(0xffffffff, lane, 9);
  row[4] = static_cast<int>(__shfl_sync(0xffffffff, 1LL << lane, 33) >> 1);
  row[5] = static_cast<int>(__shfl_sync(0xffffffff, lane + 0.5, lane + 1, 4) * 2);
  row[6] = static_cast<int>(__ballot_sync(0xffffffff, lane % 3 == 0));
  row[7] = __popc(__match_any_sync(0xffffffff, lane / 5));
}

__global__ void votes(int* out) {
  const int lane = threadIdx.x;
  const bool all = __all_sync(0xffffffff, lane < 32) != 0;
  const bool any = __any_sync(0xffffffff, lane == 40) != 0;
  const int sum = __reduce_add_sync(0xffffffff, lane);
  const unsigned largest = __reduce_max_sync(0xffffffff, static_cast<unsigned>(lane * 3));
  const unsigned united = __reduce_or_sync(0xffffffff, 1U << lane);
  int equal = 0;
  const unsigned matched = __match_all_sync(0xffffffff, 7, &equal);
  if (lane % 2 == 0) {
    // Half of the warp, by its own mask.
    out[lane] = __reduce_add_sync(0x55555555, 1) + __popc(__ballot_sync(0x55555555, lane > 8));
  } else {
    out[lane] = (all ? 1 : 0) + (any ? 2 : 0) + (sum == 496 ? 4 : 0) + (largest == 93 ? 8 : 0) +
                (united == 0xffffffff ? 16 : 0) + (equal != 0 && matched == 0xffffffff ? 32 : 0);
  }
}

/// A lock that lanes of one warp contend for: whoever holds it must get to release it.
__global__ void spin_lock(int* lock, int* counter) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      __threadfence();
      *static_cast<volatile int*>(counter) = *static_cast<volatile int*>(counter) + 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}

/// One branch produces what the other waits for.
__global__ void producer_and_consumer(int* flag, int* out) {
  if (threadIdx.x < 16) {
    while (atomicAdd(&flag[threadIdx.x], 0) == 0) {
    }
    out[threadIdx.x] = atomicAdd(&flag[threadIdx.x], 0) * 2;
  } else {
    atomicExch(&flag[threadIdx.x - 16], static_cast<int>(threadIdx.x));
  }
}

/// Both sides of a branch meet at one barrier of the warp, at different instructions.
__global__ void warp_barrier_in_branches(int* out) {
  __shared__ int values[32];
  if (threadIdx.x % 2 == 0) {
    values[threadIdx.x] = 1;
    __syncwarp();
    out[threadIdx.x] = values[threadIdx.x + 1];
  } else {
    values[threadIdx.x] = 2;
    __syncwarp();
    out[threadIdx.x] = values[threadIdx.x - 1];
  }
}

/// Loops of different lengths, breaks, and returns before others.
__global__ void divergent_loops(int* out) {
  int steps = 0;
  unsigned n = threadIdx.x + 1;
  if (threadIdx.x == 13) {
    out[13] = -1;
    return;
  }
  while (n != 1) {
    n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    if (++steps > 100) break;
  }
  out[threadIdx.x] = steps;
}

/// __syncthreads_count and its sisters, and threads that have left.
__global__ void block_votes(int* out) {
  if (threadIdx.x >= 70) return;
  const int odd = __syncthreads_count(threadIdx.x % 2);
  const int all = __syncthreads_and(threadIdx.x < 70);
  const int any = __syncthreads_or(threadIdx.x == 99);
  out[threadIdx.x] = odd * 100 + all * 10 + any;
}

int main() {
  Buffer<int> rows(32 * 8);
  shuffles<<<1, 32>>>(rows.data());
  finish();
  const auto found = rows.download();
  for (int lane = 0; lane < 32; ++lane) {
    const int* row = &found[lane * 8];
    require(row[0] == 50, "shfl");
    require(row[1] == (lane < 3 ? lane : lane - 3), "shfl_up");
    require(row[2] == (lane % 8 < 5 ? lane + 3 : lane), "shfl_down in eights");
    require(row[3] == (lane ^ 9), "shfl_xor");
    require(row[4] == 1, "a 64-bit shfl, its lane taken modulo the width");
    require(row[5] == ((lane & ~3) + (lane + 1) % 4) * 2 + 1, "shfl of doubles in fours");
    require(row[6] == 0x49249249, "ballot");
    require(row[7] == (lane >= 30 ? 2 : 5), "match_any");
  }
  Buffer<int> out(96);
  votes<<<1, 32>>>(out.data());
  finish();
  require(out.download()[3] == 1 + 4 + 8 + 16 + 32, "votes and reductions");
  require(out.download()[4] == 16 + 11, "votes of half a warp");

  Buffer<int> state(64);
  state.zero();
  spin_lock<<<2, 64>>>(state.data(), state.data() + 1);
  finish();
  require(state.download()[1] == 128, "a lock between lanes");

  state.zero();
  producer_and_consumer<<<1, 32>>>(state.data(), out.data());
  finish();
  require(out.download()[5] == 42, "lanes wait for lanes");

  warp_barrier_in_branches<<<1, 32>>>(out.data());
  finish();
  require(out.download()[4] == 2 && out.download()[5] == 1, "a barrier in two branches");

  divergent_loops<<<1, 96>>>(out.data());
  finish();
  const auto steps = out.download();
  require(steps[13] == -1 && steps[26] == 101 && steps[2] == 7 && steps[95] == 12, "loops");

  out.zero();
  block_votes<<<1, 96>>>(out.data());
  finish();
  require(out.download()[69] == 35 * 100 + 10 && out.download()[70] == 0, "votes of a block");
  return done();
}
