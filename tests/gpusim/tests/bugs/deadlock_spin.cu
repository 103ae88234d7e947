// A kernel that spins on a flag which nobody sets.
//
// environment: GPUSIM_HANG=2
// expect: deadlock: .*spin.*{FILE}:{BUG}
#include "check.cuh"

__global__ void spin(volatile int* flag) {
  while (*flag == 0) {  // BUG
    __nanosleep(100);   // BUG
  }
}

int main() {
#ifdef CORRECT
  Buffer<int> flag(std::vector<int>{1});
#else
  Buffer<int> flag(std::vector<int>{0});
#endif
  spin<<<1, 1>>>(flag.data());
  finish();
  return done();
}
