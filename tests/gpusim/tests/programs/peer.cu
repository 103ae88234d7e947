// Two devices: copies between them, kernels that read a peer's memory, and order by events.
#include "check.cuh"

__global__ void add_from(const int* other, int* mine, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) mine[i] += other[i];
}

int main() {
  int devices = 0;
  check(cudaGetDeviceCount(&devices));
  require(devices == 2, "two devices");
  int access = 0;
  check(cudaDeviceCanAccessPeer(&access, 0, 1));
  require(access == 1, "the devices are linked");
  constexpr int kCount = 1000;
  const auto values = samples<int>(kCount);
  check(cudaSetDevice(0));
  Buffer<int> first(values);
  check(cudaSetDevice(1));
  Buffer<int> second(kCount);
  // Copies work without peer access.
  check(cudaMemcpyPeer(second.data(), 1, first.data(), 0, second.bytes()));
  require(second.download() == values, "copied to the peer");

  check(cudaDeviceEnablePeerAccess(0, 0));
  expect_error(cudaDeviceEnablePeerAccess(0, 0), cudaErrorPeerAccessAlreadyEnabled);
  cudaGetLastError();
  cudaStream_t streams[2];
  cudaEvent_t events[2];
  for (int d = 0; d < 2; ++d) {
    check(cudaSetDevice(d));
    check(cudaStreamCreateWithFlags(&streams[d], cudaStreamNonBlocking));
    check(cudaEventCreateWithFlags(&events[d], cudaEventDisableTiming));
  }
  check(cudaSetDevice(0));
  check(cudaMemsetAsync(first.data(), 0, first.bytes(), streams[0]));
  add_from<<<4, 256, 0, streams[0]>>>(first.data(), first.data(), kCount);
  check(cudaMemcpyAsync(first.data(), values.data(), first.bytes(), cudaMemcpyHostToDevice,
                        streams[0]));
  check(cudaEventRecord(events[0], streams[0]));
  check(cudaSetDevice(1));
  check(cudaStreamWaitEvent(streams[1], events[0]));
  add_from<<<4, 256, 0, streams[1]>>>(first.data(), second.data(), kCount);
  check(cudaStreamSynchronize(streams[1]));
  const auto result = second.download();
  for (int i = 0; i < kCount; ++i) require(result[i] == 2 * values[i], "read from the peer");
  check(cudaDeviceDisablePeerAccess(0));
  for (int d = 0; d < 2; ++d) {
    check(cudaSetDevice(d));
    check(cudaStreamDestroy(streams[d]));
    check(cudaEventDestroy(events[d]));
  }
  return done();
}
