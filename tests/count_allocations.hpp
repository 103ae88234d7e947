// Replaces `new` by one that counts, for tests of what must not allocate. Included by one file of a
// program. What C libraries allocate with malloc, as MPI does, is not counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace ingot::test {

inline std::atomic<std::int64_t> allocations{0};

}  // namespace ingot::test

// Not inlined, or the compiler sees malloc meet operator delete and warns.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ingot::test::allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
