// environment: GPUSIM_MACHINE=dgx-h100
// architectures: 90
// One process with a communicator per GPU, all calls of one thread in groups; and two ranks that
// are given the same GPU.
#include <nccl.h>

#include "check.cuh"

namespace {

void check(ncclResult_t result, std::source_location where = std::source_location::current()) {
  if (result != ncclSuccess) fail("NCCL error: ", ncclGetLastError(nullptr), where);
}

__global__ void fill(float* data, float value, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] = value + static_cast<float>(i % 3);
}

}  // namespace

int main() {
  constexpr int kDevices = 4, kCount = 5000;
  ncclComm_t comms[kDevices];
  check(ncclCommInitAll(comms, kDevices, nullptr));
  float* data[kDevices];
  cudaStream_t streams[kDevices];
  for (int d = 0; d < kDevices; ++d) {
    ::check(cudaSetDevice(d));
    ::check(cudaMalloc(&data[d], kCount * sizeof(float)));
    ::check(cudaStreamCreate(&streams[d]));
    fill<<<20, 256, 0, streams[d]>>>(data[d], static_cast<float>(d), kCount);
  }
  check(ncclGroupStart());
  for (int d = 0; d < kDevices; ++d) {
    check(ncclAllReduce(data[d], data[d], kCount, ncclFloat32, ncclSum, comms[d], streams[d]));
  }
  check(ncclGroupEnd());
  std::vector<float> found(kCount);
  for (int d = 0; d < kDevices; ++d) {
    ::check(cudaSetDevice(d));
    ::check(cudaStreamSynchronize(streams[d]));
    ::check(cudaMemcpy(found.data(), data[d], kCount * sizeof(float), cudaMemcpyDeviceToHost));
    for (int i = 0; i < kCount; ++i) {
      require_close(found[static_cast<std::size_t>(i)], 6 + 4 * (i % 3), 0, "the sum");
    }
    ::check(cudaFree(data[d]));
    ::check(cudaStreamDestroy(streams[d]));
    check(ncclCommDestroy(comms[d]));
  }

  ncclUniqueId id;
  ncclComm_t twice[2];
  check(ncclGetUniqueId(&id));
  ::check(cudaSetDevice(0));
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  for (int r = 0; r < 2; ++r) ncclCommInitRankConfig(&twice[r], 2, id, r, &config);
  int refused = 0;
  while (refused == 0) {
    for (ncclComm_t comm : twice) {
      ncclResult_t state = ncclSuccess;
      check(ncclCommGetAsyncError(comm, &state));
      refused += state == ncclInvalidUsage ? 1 : 0;
    }
  }
  require(refused == 1, "one of two ranks on a GPU is refused");
  for (ncclComm_t comm : twice) check(ncclCommAbort(comm));
  return done();
}
