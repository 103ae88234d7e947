// Replaces operator new for the whole test program, so that tests can show what allocates nothing.
#include "tests/ops/device/allocation_count.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

namespace ingot::testing {
namespace {

std::atomic<std::int64_t> allocations{0};

void* counted_allocate(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}

}  // namespace

std::int64_t allocation_count() {
  return allocations.load(std::memory_order_relaxed);
}

TEST(AllocationCount, SeesAnAllocation) {
  const std::int64_t before = allocation_count();
  std::unique_ptr<int> number(new int(1));
  // The address is used, so that the allocation is not optimised away.
  EXPECT_NE(static_cast<void*>(number.get()), nullptr);
  EXPECT_GE(allocation_count(), before + 1);
}

}  // namespace ingot::testing

void* operator new(std::size_t bytes) {
  return ingot::testing::counted_allocate(bytes);
}
void* operator new[](std::size_t bytes) {
  return ingot::testing::counted_allocate(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
