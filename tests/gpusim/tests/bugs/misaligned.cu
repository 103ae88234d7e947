// A load of 16 bytes from an address that is only aligned to 4.
//
// expect: misaligned.*: .*copy.*{FILE}:{BUG}.*thread \(0, ?0, ?0\).*not aligned to 16
#include "check.cuh"

__global__ void copy(const float* in, float4* out) {
  out[threadIdx.x] = reinterpret_cast<const float4*>(in)[threadIdx.x];  // BUG
}

int main() {
  Buffer<float> in(samples<float>(132));
  Buffer<float4> out(32);
#ifdef CORRECT
  copy<<<1, 32>>>(in.data() + 4, out.data());
#else
  copy<<<1, 32>>>(in.data() + 1, out.data());
#endif
  finish();
  return done();
}
