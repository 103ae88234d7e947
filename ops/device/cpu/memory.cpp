#include "ops/device/cpu/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include "ops/base/error.hpp"

namespace ingot::cpu {
namespace {

/// Closes a descriptor unless it is taken over.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }
  int take() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

[[noreturn]] void fail_to_allocate(const std::string& label, std::int64_t bytes,
                                   const std::string& reason) {
  fail(ExitCode::kInternal,
       "cannot allocate {:.1f} MiB for {}: {}; use a smaller batch.micro or model, or fewer ranks "
       "on this node",
       static_cast<double>(bytes) / (1 << 20), label, reason);
}

/// What the kernel believes it can still give out, swap left aside.
std::int64_t available_bytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::string name;
  std::int64_t kibibytes = 0;
  std::string rest;
  while (meminfo >> name >> kibibytes && std::getline(meminfo, rest)) {
    if (name == "MemAvailable:") return kibibytes * 1024;
  }
  return std::numeric_limits<std::int64_t>::max();
}

}  // namespace

Buffer Memory::allocate(std::int64_t bytes, const std::string& label) {
  ensure(bytes >= 0, "a number of bytes that is not negative");
  if (bytes == 0) return {};
  // Pages are taken now, and taking more than there is would let the kernel kill some process.
  const std::int64_t available = available_bytes();
  if (bytes > available) {
    fail_to_allocate(label, bytes,
                     fmt::format("only {:.1f} MiB of memory are available",
                                 static_cast<double>(available) / (1 << 20)));
  }
  const auto size = static_cast<std::size_t>(bytes);
  Descriptor descriptor(
      memfd_create(("ingot " + label).substr(0, 200).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  // Sealed, so that those who map it need not fear that it shrinks under them.
  if (descriptor.get() < 0 || ftruncate(descriptor.get(), bytes) != 0 ||
      fcntl(descriptor.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    fail_to_allocate(label, bytes, std::strerror(errno));
  }
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
  if (data == MAP_FAILED) fail_to_allocate(label, bytes, std::strerror(errno));
  // Only advice: honoured where the administrator allows huge pages for shared memory.
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  if (size >= kHugePage) madvise(data, size, MADV_HUGEPAGE);
  // Kernels before 5.14 do not know the advice (EINVAL) and take pages when they are first touched.
  if (madvise(data, size, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
    const std::string reason = std::strerror(errno);
    munmap(data, size);
    fail_to_allocate(label, bytes, reason);
  }
  // A core dump has no use for gigabytes of activations.
  madvise(data, size, MADV_DONTDUMP);
  {
    const std::scoped_lock lock(mutex_);
    allocated_bytes_ += bytes;
  }
  const int file = descriptor.take();
  return Buffer(
      data, bytes,
      [self = shared_from_this(), file](void* address, std::int64_t length) {
        self->release(address, length, file);
      },
      file);
}

std::int64_t Memory::allocated_bytes() const {
  const std::scoped_lock lock(mutex_);
  return allocated_bytes_;
}

void Memory::release(void* data, std::int64_t bytes, int descriptor) {
  munmap(data, static_cast<std::size_t>(bytes));
  close(descriptor);
  const std::scoped_lock lock(mutex_);
  allocated_bytes_ -= bytes;
}

}  // namespace ingot::cpu
