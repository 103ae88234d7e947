// Memory that nobody frees.
//
// expect: leak: .*4096 bytes.*cudaMalloc
#include "check.cuh"

int main() {
  int* x = nullptr;
  check(cudaMalloc(&x, 4096));
#ifdef CORRECT
  check(cudaFree(x));
#endif
  return done();
}
