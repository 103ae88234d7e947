// A kernel that reads another device's memory without having enabled access to it.
//
// expect: illegal address: .*read_it.*{FILE}:{BUG}.*thread \(0, ?0, ?0\)
#include "check.cuh"

__global__ void read_it(const int* x, int* out) {
  out[threadIdx.x] = x[threadIdx.x];  // BUG
}

int main() {
  check(cudaSetDevice(1));
  Buffer<int> there(samples<int>(32));
  check(cudaSetDevice(0));
#ifdef CORRECT
  check(cudaDeviceEnablePeerAccess(1, 0));
#endif
  Buffer<int> here(32);
  read_it<<<1, 32>>>(there.data(), here.data());
  finish();
  return done();
}
