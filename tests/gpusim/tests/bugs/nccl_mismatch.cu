// environment: GPUSIM_MACHINE=dgx-h100
// Two ranks of one process sum different numbers of elements.
//
// expect: collective mismatch: rank [01] calls ncclAllReduce of 1(00|28) float32 \(sum\), rank [01]
// ncclAllReduce of 1(00|28) float32 \(sum\)
#include <nccl.h>

#include "check.cuh"

int main() {
  ncclComm_t comms[2];
  require(ncclCommInitAll(comms, 2, nullptr) == ncclSuccess, "two communicators");
  float* data[2];
  ncclGroupStart();
  for (int d = 0; d < 2; ++d) {
    check(cudaSetDevice(d));
    check(cudaMalloc(&data[d], 1024));
    check(cudaMemset(data[d], 0, 1024));
    check(cudaDeviceSynchronize());
#ifdef CORRECT
    const std::size_t count = 100;
#else
    const std::size_t count = d == 0 ? 100 : 128;
#endif
    ncclAllReduce(data[d], data[d], count, ncclFloat32, ncclSum, comms[d], nullptr);
  }
  ncclGroupEnd();
#ifndef CORRECT
  // Nothing is ever complete: what a program can see is the asynchronous error.
  for (ncclResult_t state = ncclSuccess; state == ncclSuccess;) {
    for (const ncclComm_t comm : comms) {
      if (state == ncclSuccess) ncclCommGetAsyncError(comm, &state);
    }
  }
  for (const ncclComm_t comm : comms) ncclCommAbort(comm);
#endif
  for (int d = 0; d < 2; ++d) {
    check(cudaSetDevice(d));
    check(cudaDeviceSynchronize());
    check(cudaFree(data[d]));
#ifdef CORRECT
    ncclCommDestroy(comms[d]);
#endif
  }
  return done();
}
