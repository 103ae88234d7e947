// A named barrier that expects more warps than ever come.
//
// expect: deadlock: .*wait_for_all.*{FILE}:{BUG}
#include "check.cuh"

__global__ void wait_for_all(int* x) {
#ifdef CORRECT
  asm volatile("barrier.sync 1, 64;" ::: "memory");
#else
  if (threadIdx.x < 32) asm volatile("barrier.sync 1, 64;" ::: "memory");  // BUG
#endif
  x[threadIdx.x] = 1;
}

int main() {
  Buffer<int> x(64);
  wait_for_all<<<1, 64>>>(x.data());
  finish();
  return done();
}
