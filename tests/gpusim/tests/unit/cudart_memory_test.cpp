// Allocation, copies and fills, peers, pointers.
#include "cudart_fixture.hpp"
#include "memory/address_space.hpp"
#include "memory/peer_access.hpp"

namespace gpusim::cudart {
namespace {

cudaExtent extent_of(std::size_t width, std::size_t height, std::size_t depth) {
  return {width, height, depth};
}

TEST(Memory, IsCopiedThereAndBack) {
  const std::vector<int> in = {1, 2, 3, 4, 5};
  std::vector<int> out(5);
  auto* data = device_array<int>(5);
  EXPECT_EQ(cudaMemcpy(data, in.data(), 20, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(out.data(), data, 20, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(out, in);
  EXPECT_EQ(cudaFree(data), cudaSuccess);
}

TEST(Memory, AnAsynchronousCopyFromPageableMemoryReadsItAtOnce) {
  cudaStream_t stream = new_stream();
  Gate gate;
  auto* data = device_array<int>(1);
  int value = 7, result = 0;
  run_in(stream, [&] { gate.wait(); });
  EXPECT_EQ(cudaMemcpyAsync(data, &value, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  value = 8;
  gate.open();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(&result, data, 4, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(result, 7);
  cudaFree(data);
  cudaStreamDestroy(stream);
}

TEST(Memory, AnAsynchronousCopyFromPinnedMemoryReadsItWhenItRuns) {
  cudaStream_t stream = new_stream();
  Gate gate;
  auto* data = device_array<int>(1);
  int* value = nullptr;
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&value), 8), cudaSuccess);
  value[0] = 7;
  run_in(stream, [&] { gate.wait(); });
  EXPECT_EQ(cudaMemcpyAsync(data, value, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(value + 1, data, 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  value[0] = 8;
  gate.open();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(value[1], 8) << "the program reused the buffer too early, and sees it";
  cudaFree(data);
  cudaFreeHost(value);
  cudaStreamDestroy(stream);
}

TEST(Memory, RowsAndVolumesAreCopiedWithTheirPitch) {
  void* plane = nullptr;
  std::size_t pitch = 0;
  ASSERT_EQ(cudaMallocPitch(&plane, &pitch, 6, 3), cudaSuccess);
  EXPECT_EQ(pitch % 512, 0U);
  ASSERT_EQ(cudaMemset2D(plane, pitch, 0x11, 6, 3), cudaSuccess);
  const char in[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  char out[18];
  EXPECT_EQ(cudaMemcpy2D(static_cast<char*>(plane) + 1, pitch, in, 4, 2, 2, cudaMemcpyHostToDevice),
            cudaSuccess);
  EXPECT_EQ(cudaMemcpy2D(out, 6, plane, pitch, 6, 3, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_THAT(out, testing::ElementsAre(0x11, 1, 2, 0x11, 0x11, 0x11, 0x11, 5, 6, 0x11, 0x11, 0x11,
                                        0x11, 0x11, 0x11, 0x11, 0x11, 0x11));
  EXPECT_EQ(cudaMemcpy2D(out, 3, plane, pitch, 6, 3, cudaMemcpyDeviceToHost),
            cudaErrorInvalidPitchValue);
  cudaPitchedPtr volume = {};
  ASSERT_EQ(cudaMalloc3D(&volume, extent_of(4, 3, 2)), cudaSuccess);
  EXPECT_EQ(cudaMemset3D(volume, 3, extent_of(4, 3, 2)), cudaSuccess);
  std::vector<char> flat(24);
  cudaMemcpy3DParms copy = {};
  copy.srcPtr = volume;
  copy.dstPtr = {flat.data(), 4, 4, 3};
  copy.extent = extent_of(4, 3, 2);
  copy.kind = cudaMemcpyDeviceToHost;
  EXPECT_EQ(cudaMemcpy3D(&copy), cudaSuccess);
  EXPECT_THAT(flat, testing::Each(3));
  cudaFree(plane);
  cudaFree(volume.ptr);
}

TEST(Memory, CopiesBeyondABlockAndInTheWrongDirectionAreReported) {
  auto* data = device_array<char>(100);
  char host[200] = {};
  const std::uint64_t before = problems_reported();
  EXPECT_EQ(cudaMemcpy(data + 50, host, 51, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(data, host, 10, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(problems_reported() - before, 2U);
  cudaFree(data);
  EXPECT_EQ(cudaMemcpy(data, host, 10, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(data), cudaErrorInvalidValue) << "freed twice";
  EXPECT_EQ(problems_reported() - before, 4U);
}

TEST(Memory, TellsWhatAPointerIs) {
  cudaPointerAttributes attributes;
  int local = 0;
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, &local), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  EXPECT_EQ(attributes.device, cudaInvalidDeviceId);
  EXPECT_EQ(attributes.devicePointer, nullptr);
  auto* data = device_array<char>(100);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, data + 50), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.devicePointer, data + 50);
  EXPECT_EQ(attributes.hostPointer, nullptr);
  void *pinned = nullptr, *managed = nullptr;
  cudaMallocHost(&pinned, 10);
  cudaMallocManaged(&managed, 10, cudaMemAttachGlobal);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, pinned), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, managed), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeManaged);
  EXPECT_EQ(attributes.hostPointer, managed);
  cudaFree(data);
  cudaFree(managed);
  cudaFreeHost(pinned);
}

TEST(Memory, RegisteredHostMemoryIsKnownUntilItIsUnregistered) {
  std::vector<char> data(5000);
  void* pointer = nullptr;
  EXPECT_EQ(cudaHostRegister(data.data(), 5000, cudaHostRegisterDefault), cudaSuccess);
  EXPECT_EQ(cudaHostRegister(data.data(), 100, 0), cudaErrorHostMemoryAlreadyRegistered);
  EXPECT_EQ(cudaHostGetDevicePointer(&pointer, data.data(), 0), cudaSuccess);
  EXPECT_EQ(pointer, data.data());
  EXPECT_EQ(cudaHostUnregister(data.data()), cudaSuccess);
  EXPECT_EQ(cudaHostUnregister(data.data()), cudaErrorHostMemoryNotRegistered);
}

TEST(Memory, RunsOutAndSaysSo) {
  std::size_t free_bytes = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free_bytes, &total), cudaSuccess);
  EXPECT_EQ(total, machine().devices[0].memory_bytes);
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, total + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&pointer, 0), cudaSuccess);
  EXPECT_EQ(pointer, nullptr);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
}

TEST(Memory, OnlyWhatWasWrittenCountsAsInitialised) {
  auto* source = device_array<char>(256);
  auto* target = device_array<char>(256);
  EXPECT_EQ(cudaMemset(source + 10, 1, 100), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(target, source, 256, cudaMemcpyDeviceToDevice), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const auto begin = reinterpret_cast<std::uint64_t>(target);
  const Allocation* block = AddressSpace::instance().find(begin);
  ASSERT_NE(block, nullptr);
  EXPECT_TRUE(block->is_initialised(begin + 10, 100));
  EXPECT_FALSE(block->is_initialised(begin + 9, 1));
  EXPECT_FALSE(block->is_initialised(begin + 110, 1));
  cudaFree(source);
  cudaFree(target);
}

TEST(Peers, HaveToBeEnabledAndWorkOneWay) {
  int can = 0;
  ASSERT_EQ(cudaDeviceCanAccessPeer(&can, 0, 1), cudaSuccess);
  EXPECT_EQ(can, 1);
  EXPECT_FALSE(may_access(0, 1));
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaSuccess);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
  EXPECT_TRUE(may_access(0, 1));
  EXPECT_FALSE(may_access(1, 0));
  EXPECT_EQ(cudaDeviceDisablePeerAccess(1), cudaSuccess);
  EXPECT_EQ(cudaDeviceDisablePeerAccess(1), cudaErrorPeerAccessNotEnabled);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(0, 0), cudaErrorInvalidDevice);
}

}  // namespace
}  // namespace gpusim::cudart
