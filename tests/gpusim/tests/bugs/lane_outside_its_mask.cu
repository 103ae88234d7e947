// A shuffle executed by lanes that its mask does not name.
//
// expect: wrong member mask: .*sum.*inlined at .*{FILE}:{BUG}\).*thread \(16, ?0, ?0\)
#include "check.cuh"

__global__ void sum(const int* in, int* out) {
  int value = in[threadIdx.x];
  for (int step = 16; step > 0; step /= 2) {
#ifdef CORRECT
    value += __shfl_xor_sync(0xffffffff, value, step);
#else
    value += __shfl_xor_sync(0x0000ffff, value, step);  // BUG
#endif
  }
  out[threadIdx.x] = value;
}

int main() {
  Buffer<int> in(samples<int>(32));
  Buffer<int> out(32);
  sum<<<1, 32>>>(in.data(), out.data());
  finish();
  return done();
}
