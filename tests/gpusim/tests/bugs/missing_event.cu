// One stream writes, another reads, and no event makes the second wait for the first.
//
// expect: (unordered|missing order|stream order).*consume
// expect: produce
#include "check.cuh"

__global__ void produce(int* x) {
  x[threadIdx.x] = static_cast<int>(threadIdx.x);
}
__global__ void consume(const int* x, int* out) {
  out[threadIdx.x] = x[threadIdx.x];
}

int main() {
  cudaStream_t first;
  cudaStream_t second;
  check(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
  cudaEvent_t event;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  {
    Buffer<int> x(32);
    Buffer<int> out(32);
    x.zero();
    finish();
    produce<<<1, 32, 0, first>>>(x.data());
#ifdef CORRECT
    check(cudaEventRecord(event, first));
    check(cudaStreamWaitEvent(second, event));
#endif
    consume<<<1, 32, 0, second>>>(x.data(), out.data());
    finish();
  }
  check(cudaEventDestroy(event));
  check(cudaStreamDestroy(first));
  check(cudaStreamDestroy(second));
  return done();
}
