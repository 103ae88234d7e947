// Calls that are refused, and launches that cannot be: the error, that it does not stay, and that
// nothing ran.
#include <cstring>

#include "check.cuh"

__global__ void increment(int* x) {
  ++x[threadIdx.x];
}
__global__ void __launch_bounds__(64) bounded(int* x) {
  ++x[threadIdx.x];
}

void expect_launch_error(cudaError_t expected,
                         std::source_location where = std::source_location::current()) {
  expect_error(cudaPeekAtLastError(), expected, where);
  expect_error(cudaGetLastError(), expected, where);
  check(cudaGetLastError(), where);
}

int main() {
  Buffer<int> x(1024);
  x.zero();
  increment<<<1, 1025>>>(x.data());
  expect_launch_error(cudaErrorInvalidConfiguration);
  increment<<<0, 32>>>(x.data());
  expect_launch_error(cudaErrorInvalidConfiguration);
  increment<<<dim3(1, 65536), 32>>>(x.data());
  expect_launch_error(cudaErrorInvalidConfiguration);
  increment<<<1, dim3(1, 1, 65)>>>(x.data());
  expect_launch_error(cudaErrorInvalidConfiguration);
  increment<<<1, 32, 100 * 1024>>>(x.data());
  expect_launch_error(cudaErrorInvalidValue);
  bounded<<<1, 65>>>(x.data());
  require(cudaGetLastError() != cudaSuccess, "launch bounds are kept");
  finish();
  require(x.download() == std::vector<int>(1024, 0), "nothing ran");

  int device = -1;
  expect_error(cudaSetDevice(7), cudaErrorInvalidDevice);
  check(cudaGetDevice(&device));
  require(device == 0, "the device is the same");
  expect_error(cudaStreamDestroy(nullptr), cudaErrorInvalidResourceHandle);
  cudaGetLastError();
  cudaEvent_t first;
  cudaEvent_t second;
  check(cudaEventCreate(&first));
  check(cudaEventCreateWithFlags(&second, cudaEventDisableTiming));
  float milliseconds = 0;
  check(cudaEventRecord(second));
  check(cudaEventSynchronize(second));
  expect_error(cudaEventElapsedTime(&milliseconds, first, second), cudaErrorInvalidResourceHandle);
  cudaGetLastError();
  check(cudaEventDestroy(first));
  check(cudaEventDestroy(second));
  require(
      std::strcmp(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation") == 0,
      "the name of an error");
  require(std::strlen(cudaGetErrorString(cudaErrorInvalidValue)) > 5, "the text of an error");

  increment<<<1, 1024>>>(x.data());
  finish();
  require(x.download() == std::vector<int>(1024, 1), "the device still works");
  return done();
}
