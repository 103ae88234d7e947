// How fast this machine copies: every rank copies an array of its own into another at the same
// time, so that all cores are busy. BYTES is what one rank copies; twice as many are read and
// written. The faster of two ways counts: the C library's memcpy, and stores that pass the caches.
#include <cstring>

#include "measure.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

/// Copies without reading the destination into the caches first.
void copy_past_caches(char* to, const char* from, long bytes) {
#if defined(__x86_64__)
  for (long i = 0; i < bytes; i += 64) {
    const auto* source = reinterpret_cast<const __m128i*>(from + i);
    auto* target = reinterpret_cast<__m128i*>(to + i);
    for (int part = 0; part < 4; ++part) {
      _mm_stream_si128(target + part, _mm_load_si128(source + part));
    }
  }
  _mm_sfence();
#else
  std::memcpy(to, from, static_cast<std::size_t>(bytes));
#endif
}

}  // namespace

int main(int count, char** arguments) {
  MPI_Init(&count, &arguments);
  const bench::Sizes sizes = bench::sizes_of(count, arguments);
  const auto most = static_cast<std::size_t>(sizes.most);
  auto* from = static_cast<char*>(std::aligned_alloc(4096, (most + 4095) / 4096 * 4096));
  auto* to = static_cast<char*>(std::aligned_alloc(4096, (most + 4095) / 4096 * 4096));
  std::memset(from, 1, most);
  std::memset(to, 2, most);
  // Keeps the compiler from leaving out copies that nobody reads.
  void (*volatile copy)(char*, const char*, long) = [](char* a, const char* b, long bytes) {
    std::memcpy(a, b, static_cast<std::size_t>(bytes));
  };
  void (*volatile stream)(char*, const char*, long) = copy_past_caches;
  bench::print_rows(sizes, [&](long bytes) {
    const double cached = bench::median_seconds([&] { copy(to, from, bytes); });
    const double streamed = bench::median_seconds([&] { stream(to, from, bytes); });
    return std::min(cached, streamed);
  });
  std::free(from);
  std::free(to);
  return MPI_Finalize();
}
