// Clusters of blocks that read each other's shared memory, by compile-time and launch-time size,
// and programmatic dependence between launches.
//
// architectures: 90 100
#include <cooperative_groups.h>

#include "check.cuh"

namespace cg = cooperative_groups;

__global__ void __cluster_dims__(2, 1, 1) exchange(int* out) {
  __shared__ int mine[32];
  const cg::cluster_group cluster = cg::this_cluster();
  mine[threadIdx.x] = static_cast<int>(blockIdx.x * 100 + threadIdx.x);
  cluster.sync();
  const int* other = cluster.map_shared_rank(mine, cluster.block_rank() ^ 1);
  out[blockIdx.x * 32 + threadIdx.x] = other[31 - threadIdx.x];
  cluster.sync();
}

__global__ void histogram(const int* in, int* out) {
  __shared__ int bins[8];
  const cg::cluster_group cluster = cg::this_cluster();
  if (threadIdx.x < 8) bins[threadIdx.x] = 0;
  cluster.sync();
  const int bin =
      in[blockIdx.x * blockDim.x + threadIdx.x] % (8 * static_cast<int>(cluster.num_blocks()));
  atomicAdd(cluster.map_shared_rank(&bins[bin % 8], bin / 8), 1);
  cluster.sync();
  if (threadIdx.x < 8) atomicAdd(&out[cluster.block_rank() * 8 + threadIdx.x], bins[threadIdx.x]);
}

__global__ void first(int* x) {
  x[threadIdx.x] = 5;
  cudaTriggerProgrammaticLaunchCompletion();
}
__global__ void second(int* x) {
  cudaGridDependencySynchronize();
  x[threadIdx.x] *= 3;
}

int main() {
  Buffer<int> out(128);
  exchange<<<4, 32>>>(out.data());
  finish();
  const auto found = out.download();
  require(found[0] == 131 && found[32 + 5] == 26 && found[64 + 1] == 330,
          "shared memory of a peer");

  std::vector<int> values(4 * 64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i * i % 97);
  Buffer<int> in(values);
  out.zero();
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(4);
  config.blockDim = dim3(64);
  cudaLaunchAttribute attributes[1];
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim.x = 4;
  attributes[0].val.clusterDim.y = 1;
  attributes[0].val.clusterDim.z = 1;
  config.attrs = attributes;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, histogram, static_cast<const int*>(in.data()), out.data()));
  finish();
  std::vector<int> expected(32);
  for (const int value : values) ++expected[value % 32];
  const auto bins = out.download();
  for (int i = 0; i < 32; ++i) require(bins[i] == expected[i], "a histogram over a cluster");

  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  first<<<1, 32, 0, stream>>>(out.data());
  config.gridDim = dim3(1);
  config.blockDim = dim3(32);
  config.stream = stream;
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = 1;
  check(cudaLaunchKernelEx(&config, second, out.data()));
  check(cudaStreamSynchronize(stream));
  require(out.download()[31] == 15, "a dependent launch");
  check(cudaStreamDestroy(stream));
  return done();
}
