// A sum over an array of which the last element was never written.
//
// expect: uninitialised read: .*sum.*{FILE}:{BUG}.*thread \(31, ?0, ?0\)
#include "check.cuh"

__global__ void sum(const int* in, int* out) {
  atomicAdd(out, in[threadIdx.x]);  // BUG
}

int main() {
  Buffer<int> in(32);
#ifdef CORRECT
  check(cudaMemset(in.data(), 0, 32 * sizeof(int)));
#else
  check(cudaMemset(in.data(), 0, 31 * sizeof(int)));
#endif
  Buffer<int> out(1);
  out.zero();
  sum<<<1, 32>>>(in.data(), out.data());
  finish();
  return done();
}
