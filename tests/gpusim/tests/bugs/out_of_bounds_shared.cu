// An index beyond the shared memory of the block.
//
// expect: illegal address: .*shift.*{FILE}:{BUG}.*thread \(63, ?0, ?0\)
#include "check.cuh"

__global__ void shift(int* x) {
  __shared__ int tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
#ifdef CORRECT
  x[threadIdx.x] = tile[(threadIdx.x + 1) % 64];
#else
  x[threadIdx.x] = tile[threadIdx.x + 1];  // BUG
#endif
}

int main() {
  Buffer<int> x(samples<int>(64));
  shift<<<1, 64>>>(x.data());
  finish();
  return done();
}
