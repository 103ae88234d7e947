#include "collectives/shm/mapping.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "ops/base/error.hpp"

namespace ingot::shm {

File::~File() {
  if (descriptor_ >= 0) close(descriptor_);
}
File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

File create_memory(const std::string& name, std::int64_t bytes) {
  File file(memfd_create(name.substr(0, 200).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.open() || ftruncate(file.get(), bytes) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    fail(ExitCode::kInternal, "cannot create {} bytes of shared memory: {}", bytes,
         std::strerror(errno));
  }
  return file;
}

bool is_memory_of(int descriptor, std::int64_t bytes) {
  const int seals = fcntl(descriptor, F_GET_SEALS);
  struct stat status {};
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(descriptor, &status) == 0 &&
         status.st_size >= bytes;
}

Mapping::Mapping(int descriptor, std::int64_t offset, std::int64_t bytes, bool populate)
    : bytes_(static_cast<std::size_t>(bytes)) {
  const int flags = MAP_SHARED | (populate ? MAP_POPULATE : 0);
  void* data = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, descriptor, offset);
  if (data == MAP_FAILED) {
    fail(ExitCode::kInternal, "cannot map {} bytes of memory that another rank shares: {}", bytes,
         std::strerror(errno));
  }
  data_ = static_cast<std::byte*>(data);
  madvise(data, bytes_, MADV_DONTDUMP);
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
}
Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace ingot::shm
