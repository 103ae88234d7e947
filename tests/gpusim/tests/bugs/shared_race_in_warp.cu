// Lanes of one warp exchange values through shared memory and trust that they run in step.
//
// expect: race: .*exchange.*{FILE}:{BUG}
#include "check.cuh"

__global__ void exchange(const int* in, int* out) {
  __shared__ int tile[32];
  tile[threadIdx.x] = in[threadIdx.x];  // BUG
#ifdef CORRECT
  __syncwarp();
#endif
  out[threadIdx.x] = tile[31 - threadIdx.x];  // BUG
}

int main() {
  Buffer<int> in(samples<int>(32));
  Buffer<int> out(32);
  exchange<<<1, 32>>>(in.data(), out.data());
  finish();
  return done();
}
