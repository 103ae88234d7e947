// The default stream of each host thread, as -default-stream per-thread makes it: threads do not
// wait for each other's kernels.
//
// nvcc: -default-stream per-thread
#include <thread>

#include "check.cuh"

__global__ void wait_for(volatile int* flag, int* out) {
  while (*flag == 0) __nanosleep(200);
  *out = *flag;
}

int main() {
  int* flag = nullptr;
  check(cudaMallocHost(&flag, sizeof(int)));
  *flag = 0;
  int* out = nullptr;
  check(cudaMalloc(&out, sizeof(int)));
  std::thread waiting([&] {
    wait_for<<<1, 1>>>(flag, out);
    int value = 0;
    check(cudaMemcpyAsync(&value, out, sizeof value, cudaMemcpyDeviceToHost));
    check(cudaStreamSynchronize(nullptr));
    require(value == 9, "the kernel of the other thread went on");
  });
  std::thread going([&] {
    Buffer<int> memory(100);
    check(cudaMemsetAsync(memory.data(), 0, memory.bytes()));
    check(cudaStreamSynchronize(nullptr));
    *static_cast<volatile int*>(flag) = 9;
  });
  going.join();
  waiting.join();
  check(cudaFree(out));
  check(cudaFreeHost(flag));
  return done();
}
