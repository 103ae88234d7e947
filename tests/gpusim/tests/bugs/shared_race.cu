// Two warps exchange values through shared memory with no barrier between.
//
// expect: race: .*exchange.*{FILE}:{BUG}
#include "check.cuh"

__global__ void exchange(const int* in, int* out) {
  __shared__ int tile[64];
  tile[threadIdx.x] = in[threadIdx.x];  // BUG
#ifdef CORRECT
  __syncthreads();
#endif
  out[threadIdx.x] = tile[63 - threadIdx.x];  // BUG
}

int main() {
  Buffer<int> in(samples<int>(64));
  Buffer<int> out(64);
  exchange<<<1, 64>>>(in.data(), out.data());
  finish();
  return done();
}
