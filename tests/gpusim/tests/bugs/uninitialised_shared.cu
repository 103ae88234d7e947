// Shared memory of which half is read before anybody wrote it.
//
// expect: uninitialised read: .*reverse.*{FILE}:{BUG}.*thread \(0, ?0, ?0\)
#include "check.cuh"

__global__ void reverse(const int* in, int* out) {
  __shared__ int tile[64];
#ifdef CORRECT
  tile[threadIdx.x] = in[threadIdx.x];
#else
  if (threadIdx.x < 32) tile[threadIdx.x] = in[threadIdx.x];
#endif
  __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];  // BUG
}

int main() {
  Buffer<int> in(samples<int>(64));
  Buffer<int> out(64);
  reverse<<<1, 64>>>(in.data(), out.data());
  finish();
  return done();
}
