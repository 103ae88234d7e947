// Memory of every kind: pinned, managed, registered; copies in one to three dimensions; stream-
// ordered allocation; what pointers are.
#include <cstdint>

#include "check.cuh"

__global__ void increment(int* x, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) ++x[i];
}

void pinned() {
  int* host = nullptr;
  check(cudaHostAlloc(&host, 1000 * sizeof(int), cudaHostAllocMapped));
  for (int i = 0; i < 1000; ++i) host[i] = i;
  int* device = nullptr;
  check(cudaHostGetDevicePointer(&device, host, 0));
  increment<<<4, 256>>>(device, 1000);
  finish();
  require(host[999] == 1000, "a kernel writes pinned memory");
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, host + 5));
  require(attributes.type == cudaMemoryTypeHost && attributes.hostPointer == host + 5,
          "pinned memory is host memory");
  check(cudaFreeHost(host));
}

void registered() {
  std::vector<int> values(5000, 4);
  check(cudaHostRegister(values.data(), values.size() * sizeof(int), cudaHostRegisterDefault));
  increment<<<20, 256>>>(values.data(), 5000);
  finish();
  require(values[4999] == 5, "a kernel writes registered memory");
  check(cudaHostUnregister(values.data()));
}

void managed() {
  int* values = nullptr;
  check(cudaMallocManaged(&values, 1000 * sizeof(int)));
  for (int i = 0; i < 1000; ++i) values[i] = -i;
  const cudaMemLocation device{cudaMemLocationTypeDevice, 0};
  check(cudaMemPrefetchAsync(values, 1000 * sizeof(int), device, 0, nullptr));
  increment<<<4, 256>>>(values, 1000);
  finish();
  require(values[999] == -998, "both sides use managed memory");
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, values));
  require(attributes.type == cudaMemoryTypeManaged, "managed memory");
  check(cudaFree(values));
}

void dimensions() {
  constexpr int kWidth = 37;
  constexpr int kHeight = 5;
  const auto values = samples<float>(kWidth * kHeight);
  float* device = nullptr;
  std::size_t pitch = 0;
  check(cudaMallocPitch(&device, &pitch, kWidth * sizeof(float), kHeight));
  require(pitch >= kWidth * sizeof(float) && pitch % 32 == 0, "the pitch");
  check(cudaMemcpy2D(device, pitch, values.data(), kWidth * 4, kWidth * 4, kHeight,
                     cudaMemcpyHostToDevice));
  std::vector<float> back(kWidth * kHeight);
  check(cudaMemcpy2D(back.data(), kWidth * 4, device, pitch, kWidth * 4, kHeight,
                     cudaMemcpyDeviceToHost));
  require(back == values, "two dimensions and back");
  check(cudaMemset2D(device, pitch, 0, 8, kHeight));
  check(cudaMemcpy2D(back.data(), kWidth * 4, device, pitch, kWidth * 4, kHeight,
                     cudaMemcpyDeviceToHost));
  require(back[1] == 0 && back[kWidth + 1] == 0 && back[2] == values[2], "memset of a rectangle");
  check(cudaFree(device));

  const cudaExtent extent = make_cudaExtent(8 * sizeof(int), 4, 3);
  cudaPitchedPtr block;
  check(cudaMalloc3D(&block, extent));
  std::vector<int> cube(8 * 4 * 3);
  for (std::size_t i = 0; i < cube.size(); ++i) cube[i] = static_cast<int>(i);
  cudaMemcpy3DParms copy = {};
  copy.srcPtr = make_cudaPitchedPtr(cube.data(), 8 * sizeof(int), 8 * sizeof(int), 4);
  copy.dstPtr = block;
  copy.extent = extent;
  copy.kind = cudaMemcpyHostToDevice;
  check(cudaMemcpy3D(&copy));
  std::vector<int> returned(cube.size());
  copy.dstPtr = make_cudaPitchedPtr(returned.data(), 8 * sizeof(int), 8 * sizeof(int), 4);
  copy.srcPtr = block;
  copy.kind = cudaMemcpyDeviceToHost;
  check(cudaMemcpy3D(&copy));
  require(returned == cube, "three dimensions and back");
  check(cudaFree(block.ptr));
}

void stream_ordered() {
  cudaStream_t stream;
  check(cudaStreamCreate(&stream));
  for (int round = 0; round < 5; ++round) {
    int* memory = nullptr;
    check(cudaMallocAsync(&memory, 400 * sizeof(int), stream));
    check(cudaMemsetAsync(memory, 0, 400 * sizeof(int), stream));
    increment<<<2, 256, 0, stream>>>(memory, 400);
    int last = 0;
    check(cudaMemcpyAsync(&last, memory + 399, sizeof last, cudaMemcpyDeviceToHost, stream));
    check(cudaFreeAsync(memory, stream));
    check(cudaStreamSynchronize(stream));
    require(last == 1, "memory of a stream");
  }
  check(cudaStreamDestroy(stream));
}

void sizes_and_kinds() {
  std::size_t free_before = 0;
  std::size_t total = 0;
  check(cudaMemGetInfo(&free_before, &total));
  require(free_before <= total && total == std::size_t{1} << 30, "the machine's memory");
  char* memory = nullptr;
  check(cudaMalloc(&memory, 64 << 20));
  std::size_t free_now = 0;
  check(cudaMemGetInfo(&free_now, &total));
  require(free_before - free_now >= 64 << 20, "an allocation counts");
  check(cudaFree(memory));
  void* too_large = nullptr;
  expect_error(cudaMalloc(&too_large, std::size_t{4} << 30), cudaErrorMemoryAllocation);
  expect_error(cudaGetLastError(), cudaErrorMemoryAllocation);
  check(cudaGetLastError());
  check(cudaMalloc(&too_large, 0));
  check(cudaFree(nullptr));

  Buffer<int> device(10);
  require(reinterpret_cast<std::uintptr_t>(device.data()) % 256 == 0, "alignment");
  cudaPointerAttributes attributes;
  check(cudaPointerGetAttributes(&attributes, device.data() + 3));
  require(attributes.type == cudaMemoryTypeDevice && attributes.device == 0, "device memory");
  int local = 0;
  check(cudaPointerGetAttributes(&attributes, &local));
  require(attributes.type == cudaMemoryTypeUnregistered, "ordinary memory");

  const std::vector<int> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  check(cudaMemcpy(device.data(), values.data(), 40, cudaMemcpyDefault));
  Buffer<int> other(10);
  check(cudaMemcpy(other.data(), device.data(), 40, cudaMemcpyDeviceToDevice));
  require(other.download() == values, "from device to device");
  check(cudaMemset(other.data(), 0xff, 5));
  require(other.download()[0] == -1 && other.download()[1] == 0xff, "bytes are set");
}

int main() {
  pinned();
  registered();
  managed();
  dimensions();
  stream_ordered();
  sizes_and_kinds();
  return done();
}
