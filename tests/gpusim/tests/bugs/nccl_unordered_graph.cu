// architectures: 90
// In a captured step the kernel behind a collective does not wait for it: its branch joins later.
// expect: stream order: .*ncclReduceScatter in branch .* of a graph
#include <nccl.h>

#include "check.cuh"

__global__ void scale(float* data, float value) {
  data[threadIdx.x] *= value;
}

int main() {
  ncclComm_t comm;
  require(ncclCommInitAll(&comm, 1, nullptr) == ncclSuccess, "a communicator");
  float *gradients = nullptr, *shard = nullptr;
  check(cudaMalloc(&gradients, 256 * sizeof(float)));
  check(cudaMalloc(&shard, 256 * sizeof(float)));
  check(cudaMemset(gradients, 0, 256 * sizeof(float)));
  check(cudaMemset(shard, 0, 256 * sizeof(float)));
  check(cudaDeviceSynchronize());
  cudaStream_t compute, exchange;
  check(cudaStreamCreateWithFlags(&compute, cudaStreamNonBlocking));
  check(cudaStreamCreateWithFlags(&exchange, cudaStreamNonBlocking));
  cudaEvent_t ready, reduced;
  check(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming));
  check(cudaEventCreateWithFlags(&reduced, cudaEventDisableTiming));
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  check(cudaStreamBeginCapture(compute, cudaStreamCaptureModeThreadLocal));
  scale<<<1, 256, 0, compute>>>(gradients, 2);
  check(cudaEventRecord(ready, compute));
  check(cudaStreamWaitEvent(exchange, ready));
  require(
      ncclReduceScatter(gradients, shard, 256, ncclFloat32, ncclSum, comm, exchange) == ncclSuccess,
      "a collective");
  check(cudaEventRecord(reduced, exchange));
#ifdef CORRECT
  check(cudaStreamWaitEvent(compute, reduced));
#endif
  scale<<<1, 256, 0, compute>>>(shard, 3);  // BUG
#ifndef CORRECT
  check(cudaStreamWaitEvent(compute, reduced));
#endif
  check(cudaStreamEndCapture(compute, &graph));
  check(cudaGraphInstantiate(&exec, graph, 0));
  check(cudaGraphLaunch(exec, compute));
  finish();
  check(cudaGraphExecDestroy(exec));
  check(cudaGraphDestroy(graph));
  require(ncclCommDestroy(comm) == ncclSuccess, "its end");
  check(cudaFree(gradients));
  check(cudaFree(shard));
  check(cudaEventDestroy(ready));
  check(cudaEventDestroy(reduced));
  check(cudaStreamDestroy(compute));
  check(cudaStreamDestroy(exchange));
  return done();
}
