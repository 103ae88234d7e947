// Histograms: atomics on global memory, on shared memory, and warp-aggregated ones.
#include "check.cuh"

constexpr int kBins = 37;

__global__ void count_global(const unsigned char* in, int n, unsigned* bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(&bins[in[i] % kBins], 1U);
}

__global__ void count_shared(const unsigned char* in, int n, unsigned* bins) {
  __shared__ unsigned mine[kBins];
  for (int i = threadIdx.x; i < kBins; i += blockDim.x) mine[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    atomicAdd(&mine[in[i] % kBins], 1U);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kBins; i += blockDim.x) {
    if (mine[i] != 0) atomicAdd(&bins[i], mine[i]);
  }
}

/// One lane adds for all lanes of its warp that hit the same bin.
__global__ void count_by_match(const unsigned char* in, int n, unsigned* bins) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned present = __ballot_sync(0xffffffff, i < n);
  if (i >= n) return;
  const int bin = in[i] % kBins;
  const unsigned peers = __match_any_sync(present, bin);
  if (__ffs(peers) - 1 == static_cast<int>(threadIdx.x % 32)) {
    atomicAdd(&bins[bin], static_cast<unsigned>(__popc(peers)));
  }
}

int main() {
  constexpr int kCount = 10007;
  std::vector<unsigned char> values(kCount);
  std::vector<unsigned> expected(kBins);
  for (int i = 0; i < kCount; ++i) {
    values[i] = static_cast<unsigned char>(i * i % 251);
    ++expected[values[i] % kBins];
  }
  Buffer<unsigned char> in(values);
  Buffer<unsigned> bins(kBins);
  const int blocks = (kCount + 127) / 128;
  for (int method = 0; method < 3; ++method) {
    bins.zero();
    if (method == 0) count_global<<<blocks, 128>>>(in.data(), kCount, bins.data());
    if (method == 1) count_shared<<<5, 96>>>(in.data(), kCount, bins.data());
    if (method == 2) count_by_match<<<blocks, 128>>>(in.data(), kCount, bins.data());
    finish();
    require(bins.download() == expected, "histogram");
  }
  return done();
}
