// What a device and its kernels are: properties, attributes, occupancy, and the choice of the code
// for the architecture.
#include <cstring>

#include "check.cuh"

__global__ void small(int* x) {
  __shared__ int tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = tile[63 - threadIdx.x];
}
__global__ void architecture(int* x) {
#ifdef __CUDA_ARCH__
  *x = __CUDA_ARCH__;
#endif
}
__global__ void places(unsigned* out) {
  unsigned multiprocessor = 0;
  unsigned lane = 0;
  asm("mov.u32 %0, %%smid;" : "=r"(multiprocessor));
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  unsigned* row = out + (block * blockDim.x * blockDim.y * blockDim.z + thread) * 3;
  row[0] = lane;
  row[1] = multiprocessor;
  const long long before = clock64();
  __syncthreads();
  row[2] = static_cast<unsigned>(clock64() >= before);
}

int main() {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 1));
  require(properties.multiProcessorCount == 4 && properties.warpSize == 32, "multiprocessors");
  require(std::strstr(properties.name, "gpusim") != nullptr, "the name");
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  require(major == properties.major && major >= 8, "the compute capability");
  int driver = 0;
  int runtime = 0;
  check(cudaDriverGetVersion(&driver));
  check(cudaRuntimeGetVersion(&runtime));
  require(driver >= runtime && runtime == CUDART_VERSION, "versions");

  Buffer<int> x(64);
  architecture<<<1, 1>>>(x.data());
  finish();
  require(x.download()[0] == major * 100 + properties.minor * 10, "the PTX of this architecture");

  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, small));
  require(attributes.sharedSizeBytes == 256 && attributes.maxThreadsPerBlock == 1024,
          "attributes of a kernel");
  require(attributes.ptxVersion == major * 10 + properties.minor, "the version of its PTX");
  int blocks = 0;
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, small, 1024, 0));
  require(blocks == properties.maxThreadsPerMultiProcessor / 1024, "blocks limited by threads");
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, small, 64, 48 * 1024 - 256));
  require(blocks >= 3 && blocks <= 4, "blocks limited by shared memory");
  int grid = 0;
  int block = 0;
  check(cudaOccupancyMaxPotentialBlockSize(&grid, &block, small, 0, 0));
  require(grid > 0 && block > 0 && block % 32 == 0, "a suggested launch");

  const dim3 threads(5, 3, 4);
  const dim3 cubes(2, 2, 3);
  const int count = 60 * 12;
  Buffer<unsigned> out(count * 3);
  places<<<cubes, threads>>>(out.data());
  finish();
  const auto rows = out.download();
  for (int i = 0; i < count; ++i) {
    require(rows[i * 3] == static_cast<unsigned>(i % 60 % 32), "lanes");
    require(rows[i * 3 + 1] < 4 && rows[i * 3 + 2] == 1, "multiprocessors and clocks");
  }
  return done();
}
