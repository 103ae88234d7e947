// Sums by shared memory, by cooperative groups, and over a whole grid with grid.sync().
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

#include "check.cuh"

namespace cg = cooperative_groups;

__global__ void sum_by_halving(const int* in, int* out, int n) {
  __shared__ int partial[256];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  partial[threadIdx.x] = i < n ? in[i] : 0;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicAdd(out, partial[0]);
}

__global__ void sum_by_groups(const int* in, int* out, int n) {
  const cg::thread_block block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<32>(block);
  const auto quad = cg::tiled_partition<4>(tile);
  const int i = static_cast<int>(cg::this_grid().thread_rank());
  const int value = i < n ? in[i] : 0;
  int of_quad = cg::reduce(quad, value, cg::plus<int>());
  for (int step = 4; step < 32; step *= 2) of_quad += tile.shfl_xor(of_quad, step);
  if (tile.thread_rank() == 0) atomicAdd(out, of_quad);
  const int largest = cg::reduce(tile, value, cg::greater<int>());
  if (tile.any(value > largest)) atomicAdd(out, 1000000);
  const int before = cg::exclusive_scan(tile, 1);
  if (before != static_cast<int>(tile.thread_rank())) atomicAdd(out, 1000000);
}

/// All blocks together: partial sums, a barrier of the grid, and a sum of the sums by block 0.
__global__ void sum_over_grid(const int* in, int* partial, int* out, int n) {
  const cg::grid_group grid = cg::this_grid();
  const cg::thread_block block = cg::this_thread_block();
  __shared__ int of_block;
  if (threadIdx.x == 0) of_block = 0;
  block.sync();
  int sum = 0;
  for (unsigned i = grid.thread_rank(); i < n; i += grid.size()) sum += in[i];
  atomicAdd(&of_block, sum);
  block.sync();
  if (threadIdx.x == 0) partial[blockIdx.x] = of_block;
  for (int round = 0; round < 3; ++round) grid.sync();
  if (grid.thread_rank() == 0) {
    int total = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) total += partial[b];
    *out = total;
  }
}

/// A group of 128 threads needs the shared memory that the system reserves.
__global__ void sum_of_large_tile(const int* in, int* out) {
  __shared__ cg::block_tile_memory<256> memory;
  const auto block = cg::this_thread_block(memory);
  const auto tile = cg::tiled_partition<128>(block);
  const int sum = cg::reduce(tile, in[block.thread_rank()], cg::plus<int>());
  if (tile.thread_rank() == 0) out[block.thread_rank() / 128] = sum;
}

int main() {
  constexpr int kCount = 5000;
  std::vector<int> values(kCount);
  int expected = 0;
  for (int i = 0; i < kCount; ++i) {
    values[i] = i % 101 - 50;
    expected += values[i];
  }
  Buffer<int> in(values);
  Buffer<int> out(2);
  const int blocks = (kCount + 255) / 256;

  out.zero();
  sum_by_halving<<<blocks, 256>>>(in.data(), out.data(), kCount);
  finish();
  require(out.download()[0] == expected, "sum by halving");

  out.zero();
  sum_by_groups<<<blocks, 256>>>(in.data(), out.data(), kCount);
  finish();
  require(out.download()[0] == expected, "sum by groups");

  sum_of_large_tile<<<1, 256>>>(in.data(), out.data());
  finish();
  int first = 0;
  for (int i = 0; i < 128; ++i) first += values[i];
  require(out.download()[0] == first, "sum of a tile of 128 threads");

  int per_multiprocessor = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_multiprocessor, sum_over_grid, 128, 0));
  int multiprocessors = 0;
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
  require(per_multiprocessor > 0 && multiprocessors > 0, "something fits");
  const int grid = multiprocessors * 2;
  Buffer<int> partial(grid);
  const int* in_pointer = in.data();
  int* partial_pointer = partial.data();
  int* out_pointer = out.data();
  int n = kCount;
  void* arguments[] = {&in_pointer, &partial_pointer, &out_pointer, &n};
  check(cudaLaunchCooperativeKernel(sum_over_grid, grid, 128, arguments, 0, nullptr));
  finish();
  require(out.download()[0] == expected, "sum over a grid");
  expect_error(cudaLaunchCooperativeKernel(sum_over_grid, per_multiprocessor * multiprocessors + 1,
                                           128, arguments, 0, nullptr),
               cudaErrorCooperativeLaunchTooLarge);
  cudaGetLastError();
  return done();
}
