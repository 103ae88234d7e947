// The fat binary stored as --compress-mode=speed does it.
//
// nvcc: --compress-mode=speed
#include "check.cuh"

__global__ void square(int* x) {
  x[threadIdx.x] *= x[threadIdx.x];
}

int main() {
  Buffer<int> x(samples<int>(64));
  square<<<1, 64>>>(x.data());
  finish();
  require(x.download()[1] == sample(1) * sample(1), "squared");
  return done();
}
