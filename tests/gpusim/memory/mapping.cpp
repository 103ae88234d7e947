// The mappings behind the address space: one reserved range that faults, one alias of the same
// file that does not, and the shadow. All are sparse; nothing is touched here.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "memory/state.hpp"

namespace gpusim {
namespace {

[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr,
               "gpusim: cannot %s: %s. The simulator reserves about 6 TiB of addresses (not "
               "memory); is the address space limited (ulimit -v)?\n",
               what, std::strerror(errno));
  std::exit(71);
}

void* reserve(std::uint64_t address, std::uint64_t bytes) {
  void* result = mmap(reinterpret_cast<void*>(address), bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (result == MAP_FAILED || result != reinterpret_cast<void*>(address)) {
    refuse("reserve the addresses of device memory");
  }
  madvise(result, bytes, MADV_DONTDUMP);
  return result;
}

int sparse_file(const char* name, std::uint64_t bytes) {
  int descriptor = memfd_create(name, MFD_CLOEXEC);
  if (descriptor < 0 || ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) {
    refuse("create the file behind device memory");
  }
  return descriptor;
}

std::byte* map_file(int descriptor, std::uint64_t bytes) {
  void* result =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (result == MAP_FAILED) refuse("map device memory");
  madvise(result, bytes, MADV_DONTDUMP);
  return static_cast<std::byte*>(result);
}

}  // namespace

void map_address_space(int& memory_descriptor, int& shadow_descriptor, std::byte*& alias,
                       std::byte*& shadow) {
  // The windows of shared and local memory follow the global range: they fault as well.
  reserve(kAddressBase, 4ULL << 40);
  memory_descriptor = sparse_file("gpusim memory", kGlobalBytes);
  shadow_descriptor = sparse_file("gpusim shadow", kGlobalBytes / 8);
  alias = map_file(memory_descriptor, kGlobalBytes);
  shadow = map_file(shadow_descriptor, kGlobalBytes / 8);
}

}  // namespace gpusim
