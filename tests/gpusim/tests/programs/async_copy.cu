// Asynchronous copies with barriers: cuda::barrier, memcpy_async of cooperative groups, a pipeline
// of two stages, and named barriers between a producing and a consuming warp.
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>

#include <cuda/barrier>
#include <cuda/pipeline>

#include "check.cuh"

namespace cg = cooperative_groups;
using Barrier = cuda::barrier<cuda::thread_scope_block>;

__global__ void by_barrier(const int* in, int* out) {
  __shared__ alignas(16) int tile[256];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ Barrier barrier;
  const auto block = cg::this_thread_block();
  if (block.thread_rank() == 0) init(&barrier, block.size());
  block.sync();
  for (int round = 0; round < 3; ++round) {
    cuda::memcpy_async(block, tile, in + round * 256, cuda::aligned_size_t<16>(sizeof tile),
                       barrier);
    barrier.arrive_and_wait();
    out[round * 256 + threadIdx.x] = tile[255 - threadIdx.x];
    barrier.arrive_and_wait();
  }
}

__global__ void by_group(const int* in, int* out) {
  __shared__ alignas(16) int tile[256];
  const auto block = cg::this_thread_block();
  cg::memcpy_async(block, tile, in, sizeof tile);
  cg::wait(block);
  out[threadIdx.x] = tile[255 - threadIdx.x];
}

__global__ void by_pipeline(const int* in, int* out, int tiles) {
  __shared__ alignas(16) int tile[2][64];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  const auto block = cg::this_thread_block();
  auto pipeline = cuda::make_pipeline(block, &state);
  for (int fetched = 0, used = 0; used < tiles; ++used) {
    for (; fetched < tiles && fetched < used + 2; ++fetched) {
      pipeline.producer_acquire();
      cuda::memcpy_async(block, tile[fetched % 2], in + fetched * 64, sizeof tile[0], pipeline);
      pipeline.producer_commit();
    }
    pipeline.consumer_wait();
    out[used * 64 + threadIdx.x] = tile[used % 2][threadIdx.x] + 1;
    pipeline.consumer_release();
  }
}

/// Warp 0 fills, warp 1 reads: barrier 1 says "full", barrier 2 "empty".
__global__ void named_barriers(const int* in, int* out, int rounds) {
  __shared__ int slot[32];
  const int lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    for (int r = 0; r < rounds; ++r) {
      if (r > 0) asm volatile("barrier.sync 2, 64;" ::: "memory");
      slot[lane] = in[r * 32 + lane];
      asm volatile("barrier.arrive 1, 64;" ::: "memory");
    }
  } else {
    for (int r = 0; r < rounds; ++r) {
      asm volatile("barrier.sync 1, 64;" ::: "memory");
      out[r * 32 + lane] = slot[31 - lane];
      if (r + 1 < rounds) asm volatile("barrier.arrive 2, 64;" ::: "memory");
    }
  }
}

int main() {
  std::vector<int> values(768);
  for (int i = 0; i < 768; ++i) values[i] = i * 11;
  Buffer<int> in(values);
  Buffer<int> out(768);
  by_barrier<<<1, 256>>>(in.data(), out.data());
  finish();
  auto found = out.download();
  require(found[300] == values[512 - 1 - 44] && found[767] == values[512], "by a barrier");
  by_group<<<1, 256>>>(in.data(), out.data());
  finish();
  require(out.download()[10] == values[245], "by a group");
  by_pipeline<<<1, 64>>>(in.data(), out.data(), 12);
  finish();
  found = out.download();
  for (int i = 0; i < 768; ++i) require(found[i] == values[i] + 1, "by a pipeline");
  named_barriers<<<1, 64>>>(in.data(), out.data(), 5);
  finish();
  found = out.download();
  require(found[4 * 32 + 3] == values[4 * 32 + 28], "named barriers");
  return done();
}
