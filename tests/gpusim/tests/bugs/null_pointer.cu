// A kernel that is given a null pointer.
//
// expect: illegal address: .*read_it.*{FILE}:{BUG}.*thread \(0, ?0, ?0\).*null pointer
#include "check.cuh"

__global__ void read_it(const int* x, int* out) {
  out[threadIdx.x] = x[threadIdx.x];  // BUG
}

int main() {
  Buffer<int> x(samples<int>(32));
#ifdef CORRECT
  const int* in = x.data();
#else
  const int* in = nullptr;
#endif
  Buffer<int> out(32);
  read_it<<<1, 32>>>(in, out.data());
  finish();
  return done();
}
