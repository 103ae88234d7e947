// Prefix sums: within a warp by shuffles, within a block by shared memory, and over blocks by
// decoupled look-back, where blocks spin on the state of lower ones.
#include "check.cuh"

__device__ int scan_warp(int value) {
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(0xffffffff, value, step);
    if (threadIdx.x % 32 >= step) value += other;
  }
  return value;
}

__device__ int scan_block(int value, int* of_warps) {
  const int warp = threadIdx.x / 32;
  int sum = scan_warp(value);
  if (threadIdx.x % 32 == 31) of_warps[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    const int count = blockDim.x / 32;
    const int mine = threadIdx.x < count ? of_warps[threadIdx.x] : 0;
    const int scanned = scan_warp(mine);
    if (threadIdx.x < count) of_warps[threadIdx.x] = scanned;
  }
  __syncthreads();
  if (warp > 0) sum += of_warps[warp - 1];
  return sum;
}

/// state[b]: 0 nothing yet, else 1 + the sum of all blocks up to b (in the low half).
__global__ void scan_all(const int* in, int* out, int n, unsigned long long* state,
                         unsigned* ticket) {
  __shared__ int of_warps[32];
  __shared__ int before;
  __shared__ unsigned block;
  if (threadIdx.x == 0) block = atomicAdd(ticket, 1U);
  __syncthreads();
  const int i = static_cast<int>(block * blockDim.x + threadIdx.x);
  const int sum = scan_block(i < n ? in[i] : 0, of_warps);
  if (threadIdx.x == blockDim.x - 1) {
    int lower = 0;
    if (block > 0) {
      unsigned long long word = 0;
      while ((word = atomicAdd(&state[block - 1], 0ULL)) == 0) __nanosleep(100);
      __threadfence();
      lower = static_cast<int>(word & 0xffffffff);
    }
    __threadfence();
    atomicExch(&state[block], (1ULL << 32) | static_cast<unsigned>(lower + sum));
    before = lower;
  }
  __syncthreads();
  if (i < n) out[i] = before + sum;
}

int main() {
  for (const int n : {1, 128, 1000, 20000}) {
    std::vector<int> values(n);
    for (int i = 0; i < n; ++i) values[i] = i % 13;
    const int blocks = (n + 127) / 128;
    Buffer<int> in(values);
    Buffer<int> out(n);
    Buffer<unsigned long long> state(blocks);
    Buffer<unsigned> ticket(1);
    state.zero();
    ticket.zero();
    scan_all<<<blocks, 128>>>(in.data(), out.data(), n, state.data(), ticket.data());
    finish();
    const auto result = out.download();
    int sum = 0;
    for (int i = 0; i < n; ++i) {
      sum += values[i];
      require(result[i] == sum, "prefix sum");
    }
  }
  return done();
}
