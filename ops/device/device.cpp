#include "ops/device/device.hpp"

#include <utility>

#include "ops/base/error.hpp"

namespace ingot {

std::string_view name_of(DeviceKind kind) {
  return kind == DeviceKind::kCpu ? "cpu" : "cuda";
}

Buffer::Buffer(void* data, std::int64_t bytes, std::function<void(void*, std::int64_t)> release,
               int descriptor)
    : data_(data), bytes_(bytes), release_(std::move(release)), descriptor_(descriptor) {}

Buffer::~Buffer() {
  if (data_ != nullptr && release_) release_(data_, bytes_);
}

Buffer::Buffer(Buffer&& other) noexcept {
  *this = std::move(other);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(release_, other.release_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void* Buffer::at(std::int64_t offset, std::int64_t bytes) const {
  ensure(offset >= 0 && bytes >= 0 && offset <= bytes_ - bytes, "a range inside the buffer");
  return static_cast<std::byte*>(data_) + offset;
}

}  // namespace ingot
