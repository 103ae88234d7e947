// The bytes of an input file, mapped read-only. Everything that reads data works on FileBytes, so
// that tests and fuzzers can pass memory instead.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

/// Bytes and whoever keeps them alive. `path` is what messages call them.
struct FileBytes {
  std::string path;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;

  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

/// Maps a regular file for reading. An empty file gives no bytes. Error(kBadData) when it does not
/// exist, is a folder or cannot be read.
FileBytes map_file(const std::string& path);

/// Numbers in a mapped file. Foreign files align them as they like, so they are read by memcpy,
/// which compilers turn into plain (vector) loads.
template <typename T>
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(const std::byte* data, std::size_t size) : data_(data), size_(size) {}
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::byte* data() const { return data_; }
  T operator[](std::size_t index) const {
    T value;
    std::memcpy(&value, data_ + index * sizeof(T), sizeof(T));
    return value;
  }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ingot
