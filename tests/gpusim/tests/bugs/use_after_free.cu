// A kernel that is given memory freed.
//
// expect: illegal address: .*increment.*{FILE}:{BUG}.*thread \(0, ?0, ?0\).*freed
#include "check.cuh"

__global__ void increment(int* x) {
  ++x[threadIdx.x];  // BUG
}

int main() {
  int* x = nullptr;
  check(cudaMalloc(&x, 128));
  check(cudaMemset(x, 0, 128));
#ifndef CORRECT
  check(cudaFree(x));
#endif
  increment<<<1, 32>>>(x);
  finish();
#ifdef CORRECT
  check(cudaFree(x));
#endif
  return done();
}
