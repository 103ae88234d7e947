// A kernel that is given ordinary host memory.
//
// expect: illegal address: .*increment.*{FILE}:{BUG}.*thread \(0, ?0, ?0\)
#include "check.cuh"

__global__ void increment(int* x) {
  ++x[threadIdx.x];  // BUG
}

int main() {
  std::vector<int> values(32, 1);
#ifdef CORRECT
  check(cudaHostRegister(values.data(), values.size() * sizeof(int), cudaHostRegisterDefault));
#endif
  increment<<<1, 32>>>(values.data());
  finish();
#ifdef CORRECT
  check(cudaHostUnregister(values.data()));
#endif
  return done();
}
