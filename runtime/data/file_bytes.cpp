#include "runtime/data/file_bytes.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

}  // namespace

FileBytes map_file(const std::string& path) {
  // Non-blocking, so that a pipe given by mistake is refused below instead of waited for.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    fail(ExitCode::kBadData, "{}: cannot open: {}; check the path and its permissions", path,
         std::strerror(errno));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) {
    fail(ExitCode::kBadData, "{}: cannot read: {}", path, std::strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) {
    fail(ExitCode::kBadData, "{}: is {}, expected a regular file", path,
         S_ISDIR(status.st_mode) ? "a folder" : "no regular file (a pipe or device?)");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {path, {}, nullptr};
  void* address = mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) {
    fail(ExitCode::kBadData, "{}: cannot map its {} bytes: {}", path, size, std::strerror(errno));
  }
  std::shared_ptr<const void> owner(
      address, [size](const void* mapped) { munmap(const_cast<void*>(mapped), size); });
  return {path, {static_cast<const std::byte*>(address), size}, std::move(owner)};
}

}  // namespace ingot
