// Memory that is freed twice.
//
// expect: invalid free: .*cudaFree
#include "check.cuh"

int main() {
  int* x = nullptr;
  check(cudaMalloc(&x, 4096));
  check(cudaFree(x));
#ifndef CORRECT
  expect_error(cudaFree(x), cudaErrorInvalidValue);
#endif
  return done();
}
