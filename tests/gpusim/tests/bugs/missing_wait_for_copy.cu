// A buffer is overwritten by a copy while a kernel of another stream may still read it.
//
// expect: (unordered|missing order|stream order).*read_slowly
#include "check.cuh"

__global__ void read_slowly(const int* x, int* out) {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) sum += x[i];
  *out = sum;
}

int main() {
  cudaStream_t compute;
  cudaStream_t copy;
  check(cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&copy, cudaStreamNonBlocking));
  int* host = nullptr;
  check(cudaMallocHost(&host, 1000 * sizeof(int)));
  for (int i = 0; i < 1000; ++i) host[i] = i;
  {
    Buffer<int> x(1000);
    Buffer<int> out(1);
    x.zero();
    finish();
    read_slowly<<<1, 1, 0, compute>>>(x.data(), out.data());
#ifdef CORRECT
    check(cudaStreamSynchronize(compute));
#endif
    check(cudaMemcpyAsync(x.data(), host, x.bytes(), cudaMemcpyHostToDevice, copy));
    finish();
  }
  check(cudaFreeHost(host));
  check(cudaStreamDestroy(compute));
  check(cudaStreamDestroy(copy));
  return done();
}
