// cub's primitives within a block: load, sort, scan, reduce, store, and within a warp.
#include <algorithm>
#include <cub/block/block_exchange.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_store.cuh>
#include <cub/warp/warp_reduce.cuh>

#include "check.cuh"

constexpr int kThreads = 128;
constexpr int kItems = 4;
constexpr int kTile = kThreads * kItems;

__global__ void sort_and_scan(const int* in, int* sorted, int* scanned, int* sum) {
  using Load = cub::BlockLoad<int, kThreads, kItems, cub::BLOCK_LOAD_TRANSPOSE>;
  using Sort = cub::BlockRadixSort<int, kThreads, kItems>;
  using Scan = cub::BlockScan<int, kThreads>;
  using Reduce = cub::BlockReduce<int, kThreads>;
  using Store = cub::BlockStore<int, kThreads, kItems, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ union {
    typename Load::TempStorage load;
    typename Sort::TempStorage sort;
    typename Scan::TempStorage scan;
    typename Reduce::TempStorage reduce;
    typename Store::TempStorage store;
  } shared;
  int items[kItems];
  const int offset = blockIdx.x * kTile;
  Load(shared.load).Load(in + offset, items);
  __syncthreads();
  Sort(shared.sort).Sort(items);
  __syncthreads();
  int copy[kItems];  // Store leaves its items in another order
  for (int i = 0; i < kItems; ++i) copy[i] = items[i];
  Store(shared.store).Store(sorted + offset, copy);
  __syncthreads();
  const int of_block = Reduce(shared.reduce).Sum(items);
  if (threadIdx.x == 0) sum[blockIdx.x] = of_block;
  __syncthreads();
  Scan(shared.scan).ExclusiveSum(items, items);
  __syncthreads();
  Store(shared.store).Store(scanned + offset, items);
}

__global__ void largest_of_warp(const float* in, float* out) {
  using Reduce = cub::WarpReduce<float>;
  __shared__ typename Reduce::TempStorage shared[4];
  const float largest = Reduce(shared[threadIdx.x / 32]).Reduce(in[threadIdx.x], cuda::maximum<>{});
  if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = largest;
}

int main() {
  constexpr int kBlocks = 3;
  std::vector<int> values(kBlocks * kTile);
  for (int i = 0; i < kBlocks * kTile; ++i) values[i] = i * 7919 % 1009 - 500;
  Buffer<int> in(values);
  Buffer<int> sorted(values.size());
  Buffer<int> scanned(values.size());
  Buffer<int> sum(kBlocks);
  sort_and_scan<<<kBlocks, kThreads>>>(in.data(), sorted.data(), scanned.data(), sum.data());
  finish();
  const auto found = sorted.download();
  const auto prefixes = scanned.download();
  const auto sums = sum.download();
  for (int b = 0; b < kBlocks; ++b) {
    std::sort(values.begin() + b * kTile, values.begin() + (b + 1) * kTile);
    int prefix = 0;
    for (int i = b * kTile; i < (b + 1) * kTile; ++i) {
      require(found[i] == values[i], "sorted");
      require(prefixes[i] == prefix, "scanned");
      prefix += values[i];
    }
    require(sums[b] == prefix, "reduced");
  }
  Buffer<float> floats(samples<float>(128));
  Buffer<float> largest(4);
  largest_of_warp<<<1, 128>>>(floats.data(), largest.data());
  finish();
  require(largest.download()[2] == 8, "the largest of 32 samples");
  return done();
}
