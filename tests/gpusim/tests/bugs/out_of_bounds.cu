// A kernel that writes past the end of its array, since it does not compare its index with the
// size.
//
// expect: illegal address: .*fill.*{FILE}:{BUG}.*block \(3, ?0, ?0\).*thread \(16, ?0, ?0\)
// expect: write to 4 bytes: 0x[0-9a-f]+.*\(448 bytes
#include "check.cuh"

__global__ void fill(int* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
#ifdef CORRECT
  if (i >= n) return;
#endif
  x[i] = n;  // BUG
}

int main() {
  Buffer<int> x(112);
  fill<<<4, 32>>>(x.data(), 112);
  finish();
  return done();
}
