// The host reads device memory through its pointer.
//
// expect: host access: .*byte 12 of cudaMalloc
#include "check.cuh"

int main() {
  Buffer<int> x(samples<int>(32));
#ifdef CORRECT
  const int value = x.download()[3];
#else
  const int value = *static_cast<volatile int*>(x.data() + 3);
#endif
  require(value == static_cast<int>(sample(3)), "the value");
  return done();
}
