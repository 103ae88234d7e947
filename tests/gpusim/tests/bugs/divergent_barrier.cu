// __syncthreads() in a branch that only half of each warp takes.
//
// expect: divergent barrier: .*halves.*{FILE}:{BUG}
#include "check.cuh"

__global__ void halves(int* x) {
#ifdef CORRECT
  if (threadIdx.x % 2 == 0) x[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x % 2 != 0) x[threadIdx.x] = 2;
  __syncthreads();
#else
  if (threadIdx.x % 2 == 0) {
    x[threadIdx.x] = 1;
    __syncthreads();  // BUG
  } else {
    x[threadIdx.x] = 2;
    __syncthreads();  // BUG
  }
#endif
  x[threadIdx.x] += 1;
}

int main() {
  Buffer<int> x(64);
  halves<<<1, 64>>>(x.data());
  finish();
  return done();
}
