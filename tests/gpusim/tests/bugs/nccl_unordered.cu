// architectures: 90
// A collective in one stream and a kernel in another touch the same buffer, with no event between.
// expect: stream order: .*(ncclAllReduce in .*kernel fill|kernel fill.* in .*ncclAllReduce)
#include <nccl.h>

#include "check.cuh"

__global__ void fill(float* data, float value) {
  data[threadIdx.x] = value;
}

int main() {
  ncclComm_t comm;
  require(ncclCommInitAll(&comm, 1, nullptr) == ncclSuccess, "a communicator");
  float* data = nullptr;
  check(cudaMalloc(&data, 256 * sizeof(float)));
  cudaStream_t compute, exchange;
  check(cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&exchange, cudaStreamNonBlocking));
  cudaEvent_t filled;
  check(cudaEventCreateWithFlags(&filled, cudaEventDisableTiming));
  fill<<<1, 256, 0, compute>>>(data, 1);
#ifdef CORRECT
  check(cudaEventRecord(filled, compute));
  check(cudaStreamWaitEvent(exchange, filled));
#endif
  // BUG
  require(ncclAllReduce(data, data, 256, ncclFloat32, ncclSum, comm, exchange) == ncclSuccess,
          "a collective");
  finish();
  require(ncclCommDestroy(comm) == ncclSuccess, "its end");
  check(cudaFree(data));
  check(cudaEventDestroy(filled));
  check(cudaStreamDestroy(compute));
  check(cudaStreamDestroy(exchange));
  return done();
}
