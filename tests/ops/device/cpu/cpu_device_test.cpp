#include "ops/device/cpu/cpu_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "ops/base/error.hpp"

namespace ingot::cpu {
namespace {

TEST(CpuDevice, DescribesItself) {
  CpuDevice device(2);
  EXPECT_EQ(device.kind(), DeviceKind::kCpu);
  EXPECT_THAT(device.description(), ::testing::StartsWith("cpu, 2 threads, "));
  EXPECT_EQ(device.pool().threads(), 2);
  auto stream = device.create_stream("compute");
  EXPECT_EQ(&stream->device(), &device);
  EXPECT_EQ(&pool_of(*stream), &device.pool());
}

TEST(CpuDevice, GivesOutZeroedPageAlignedMemoryAndCountsIt) {
  CpuDevice device(1);
  for (const std::int64_t bytes : {1, 4095, 4096, 4097, 5 << 20}) {
    Buffer buffer = device.allocate(bytes, "test arena");
    ASSERT_EQ(buffer.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096, 0U);
    const std::span<unsigned char> memory(static_cast<unsigned char*>(buffer.data()),
                                          static_cast<std::size_t>(bytes));
    EXPECT_TRUE(std::ranges::all_of(memory, [](unsigned char byte) { return byte == 0; }));
    std::ranges::fill(memory, static_cast<unsigned char>(7));
    EXPECT_EQ(device.allocated_bytes(), bytes);
    Buffer second = device.allocate(100, "second");
    EXPECT_EQ(device.allocated_bytes(), bytes + 100);
    second = {};
    EXPECT_EQ(device.allocated_bytes(), bytes);
    buffer = {};
    EXPECT_EQ(device.allocated_bytes(), 0);
  }
}

TEST(CpuDevice, AllocatesNothingForAnEmptyBuffer) {
  CpuDevice device(1);
  const Buffer buffer = device.allocate(0, "empty");
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.bytes(), 0);
}

TEST(CpuDevice, SharesABufferThroughItsDescriptor) {
  CpuDevice device(1);
  const Buffer buffer = device.allocate(10000, "shared");
  void* mapped = mmap(nullptr, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, buffer.descriptor(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  static_cast<char*>(buffer.data())[9999] = 'x';
  EXPECT_EQ(static_cast<char*>(mapped)[9999], 'x');
  munmap(mapped, 10000);
}

TEST(CpuDevice, KeepsBuffersAliveAfterItself) {
  Buffer buffer;
  {
    CpuDevice device(1);
    buffer = device.allocate(4096, "survivor");
  }
  static_cast<char*>(buffer.data())[0] = 'x';
  EXPECT_EQ(static_cast<char*>(buffer.data())[0], 'x');
}

TEST(CpuDevice, NamesWhatCannotBeAllocated) {
  CpuDevice device(1);
  try {
    device.allocate(std::int64_t{1} << 55, "arena of micro");
    FAIL() << "allocated more memory than any machine has";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInternal);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("arena of micro"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("MiB"));
  }
  EXPECT_EQ(device.allocated_bytes(), 0);
}

TEST(CpuDevice, CopiesAndClearsInTheOrderOfTheStream) {
  for (const int threads : {1, 3}) {
    CpuDevice device(threads);
    auto stream = device.create_stream("copies");
    for (const std::int64_t count : {0, 1, 1000, 1 << 20}) {
      std::vector<std::int32_t> from(static_cast<std::size_t>(count));
      std::iota(from.begin(), from.end(), 1);
      std::vector<std::int32_t> to(from.size() + 1, -1);
      std::vector<std::int32_t> cleared = from;
      device.copy(*stream, to.data(), from.data(), count * 4);
      device.copy(*stream, cleared.data(), to.data(), count * 4);
      device.fill_zero(*stream, cleared.data(), count * 4);
      stream->synchronize();
      EXPECT_TRUE(std::equal(from.begin(), from.end(), to.begin()));
      EXPECT_EQ(to.back(), -1);
      EXPECT_TRUE(std::ranges::all_of(cleared, [](std::int32_t value) { return value == 0; }));
    }
  }
}

}  // namespace
}  // namespace ingot::cpu
