// The address space as kernels and copies use it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "machine/machine.hpp"
#include "memory/address_space.hpp"
#include "memory/peer_access.hpp"

namespace gpusim {
namespace {

AddressSpace& space() {
  return AddressSpace::instance();
}

Allocation& allocate(std::uint64_t bytes, MemoryKind kind = MemoryKind::kDevice) {
  Allocation* block = space().allocate(bytes, kind, 0, "test block");
  EXPECT_NE(block, nullptr);
  return *block;
}

TEST(AddressSpace, FreshDeviceMemoryIsPoisonedAndUninitialised) {
  Allocation& block = allocate(1000);
  EXPECT_EQ(block.begin % 512, 0U);
  EXPECT_GE(block.begin, kGlobalBase);
  EXPECT_LT(block.begin, kGlobalEnd);
  std::uint32_t word = 0;
  std::memcpy(&word, block.at(block.begin + 996), 4);
  EXPECT_EQ(word, 0xFFFFFFFFU);
  EXPECT_FALSE(block.is_initialised(block.begin, 1));
  space().release(block);
}

TEST(AddressSpace, PinnedMemoryIsZeroAndReadableAtItsOwnAddress) {
  Allocation& block = allocate(5000, MemoryKind::kPinned);
  auto* bytes = reinterpret_cast<unsigned char*>(block.begin);
  EXPECT_EQ(bytes[4999], 0);
  bytes[17] = 9;
  EXPECT_EQ(static_cast<unsigned char>(*block.at(block.begin + 17)), 9);
  EXPECT_EQ(block.initialised, nullptr);
  space().release(block);
}

TEST(AddressSpace, FindsBlocksByEveryAddressInsideAndNoneOutside) {
  for (std::uint64_t bytes : {1ULL, 511ULL, 65536ULL, 3ULL << 20, (5ULL << 20) + 77}) {
    Allocation& block = allocate(bytes);
    EXPECT_EQ(space().find(block.begin), &block);
    EXPECT_EQ(space().find(block.begin + bytes / 2), &block);
    EXPECT_EQ(space().find(block.begin + bytes - 1), &block);
    EXPECT_EQ(space().find(block.begin + bytes), nullptr);
    EXPECT_EQ(space().find(block.begin - 1), nullptr);
    space().release(block);
  }
}

TEST(AddressSpace, KeepsAFreedBlockFindableAndItsAddressesUnused) {
  Allocation& block = allocate(4096);
  const std::uint64_t begin = block.begin;
  space().release(block);
  EXPECT_EQ(space().find(begin), &block);
  EXPECT_FALSE(block.live);
  for (int i = 0; i < 50; ++i) EXPECT_NE(allocate(4096).begin, begin);
  EXPECT_NE(space().describe(begin + 5).find(
                "byte 5 of test block (4096 bytes) of device 0, which has been freed"),
            std::string::npos);
}

TEST(AddressSpace, TracksWrittenBytesAcrossWordsOfTheShadow) {
  Allocation& block = allocate(1000);
  const std::uint64_t at = block.begin;
  block.mark_initialised(at + 60, 200);
  EXPECT_TRUE(block.is_initialised(at + 60, 200));
  EXPECT_FALSE(block.is_initialised(at + 59, 2));
  EXPECT_FALSE(block.is_initialised(at + 259, 2));
  EXPECT_TRUE(block.is_initialised(at + 64, 64));
  block.mark_initialised(at, 64);
  EXPECT_TRUE(block.is_initialised(at, 260));
  space().release(block);
}

TEST(AddressSpace, RefusesMoreThanTheDeviceHolds) {
  const std::uint64_t capacity = machine().devices[0].memory_bytes;
  const std::uint64_t before = space().used(0);
  EXPECT_EQ(space().allocate(capacity + 1, MemoryKind::kDevice, 0, "too large"), nullptr);
  Allocation* most = space().allocate(capacity - before, MemoryKind::kDevice, 0, "all");
  ASSERT_NE(most, nullptr);
  EXPECT_EQ(space().allocate(1, MemoryKind::kDevice, 0, "one more"), nullptr);
  EXPECT_NE(space().allocate(1, MemoryKind::kPinned, 0, "of the host"), nullptr);
  space().release(*most);
  EXPECT_EQ(space().used(0), before);
}

TEST(AddressSpace, DescribesWhatLiesNearAnAddress) {
  Allocation& block = allocate(100);
  EXPECT_NE(space().describe(block.begin + 104).find("4 bytes behind the end of test block"),
            std::string::npos);
  EXPECT_NE(space().describe(block.begin - 8).find("8 bytes before the start of test block"),
            std::string::npos);
  EXPECT_EQ(space().describe(8), "a null pointer");
  int local = 0;
  EXPECT_NE(space().describe(reinterpret_cast<std::uint64_t>(&local)).find("ordinary host memory"),
            std::string::npos);
  space().release(block);
}

TEST(AddressSpace, FindsRegisteredHostMemoryUntilItIsReleased) {
  std::vector<char> data(10000), other(500);
  const auto begin = reinterpret_cast<std::uint64_t>(data.data());
  Allocation* a = space().register_host(data.data(), data.size(), 0);
  Allocation* b = space().register_host(other.data(), other.size(), 0);
  EXPECT_EQ(space().find(begin + 9999), a);
  EXPECT_EQ(space().find(reinterpret_cast<std::uint64_t>(other.data())), b);
  EXPECT_EQ(a->at(begin + 3), reinterpret_cast<std::byte*>(data.data() + 3));
  space().release(*a);
  EXPECT_EQ(space().find(begin), nullptr);
  space().release(*b);
}

TEST(AddressSpace, MemoryOfAnotherProcessIsTheSameMemory) {
  // The child exports and waits; the parent, as the same user, maps what it exported.
  int to_parent[2], to_child[2];
  ASSERT_EQ(pipe(to_parent), 0);
  ASSERT_EQ(pipe(to_child), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Allocation* block = space().allocate(70000, MemoryKind::kDevice, 0, "exported");
    std::memset(block->host, 5, 70000);
    block->mark_initialised(block->begin, 30000);
    const AddressSpace::PeerHandle handle = space().export_block(*block);
    bool good = write(to_parent[1], &handle, sizeof(handle)) == sizeof(handle);
    char go = 0;
    good = good && read(to_child[0], &go, 1) == 1;
    good = good && static_cast<int>(*block->at(block->begin + 69999)) == 8;
    good = good && block->is_initialised(block->begin + 69999, 1);
    _exit(good ? 0 : 1);
  }
  AddressSpace::PeerHandle handle;
  ASSERT_EQ(read(to_parent[0], &handle, sizeof(handle)), static_cast<ssize_t>(sizeof(handle)));
  std::string why;
  Allocation* block = space().import_block(handle, why);
  ASSERT_NE(block, nullptr) << why;
  EXPECT_EQ(block->kind, MemoryKind::kPeer);
  EXPECT_EQ(static_cast<int>(*block->at(block->begin + 100)), 5);
  EXPECT_TRUE(block->is_initialised(block->begin, 30000));
  EXPECT_FALSE(block->is_initialised(block->begin + 30000, 1));
  *block->at(block->begin + 69999) = std::byte{8};
  block->mark_initialised(block->begin + 69999, 1);
  ASSERT_EQ(write(to_child[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  space().release(*block);
  EXPECT_EQ(space().import_block(handle, why), nullptr) << "the exporter has ended";
}

TEST(AddressSpace, RefusesHandlesThatAreNone) {
  AddressSpace::PeerHandle handle;
  std::string why;
  EXPECT_EQ(space().import_block(handle, why), nullptr);
  EXPECT_NE(why.find("not a handle"), std::string::npos);
}

TEST(AddressSpaceDeathTest, HostAccessToDeviceMemoryNamesTheBlockAndEndsWithStatus86) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("GPUSIM_ON_PROBLEM", "exit", 1);
        Allocation* block = space().allocate(64, MemoryKind::kDevice, 0, "cudaMalloc #1");
        *reinterpret_cast<volatile int*>(block->begin + 8) = 1;
      },
      testing::ExitedWithCode(86), "host touched memory of a device.*byte 8 of cudaMalloc #1");
}

TEST(AddressSpaceDeathTest, OtherFaultsStayWhatTheyWere) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        space().allocate(64, MemoryKind::kDevice, 0, "block");
        *reinterpret_cast<volatile int*>(16) = 1;
      },
      [](int status) { return !WIFEXITED(status) || WEXITSTATUS(status) != 86; }, "");
}

TEST(PeerAccess, HoldsForTheDirectionThatWasEnabled) {
  EXPECT_TRUE(peer_access(3, 3));
  EXPECT_FALSE(peer_access(3, 4));
  set_peer_access(3, 4, true);
  EXPECT_TRUE(peer_access(3, 4));
  EXPECT_FALSE(peer_access(4, 3));
  set_peer_access(3, 4, false);
  EXPECT_FALSE(peer_access(3, 4));
}

}  // namespace
}  // namespace gpusim
