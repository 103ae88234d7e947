// Handles of shared memory: a file descriptor and a mapping of one, released where they end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ingot::shm {

class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int get() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

/// Anonymous shared memory of `bytes` zeros that nobody can make smaller; takes pages when touched.
File create_memory(const std::string& name, std::int64_t bytes);
/// Whether the file is shared memory of at least `bytes` that its owner cannot make smaller, which
/// would fault those who mapped it.
bool is_memory_of(int descriptor, std::int64_t bytes);

/// Bytes of a file in this process's memory, to read and to write.
class Mapping {
 public:
  Mapping() = default;
  /// Throws Error(kInternal) where there is no room. `offset` is a multiple of the page size.
  /// `populate` makes the page table entries now, so that later no access faults.
  Mapping(int descriptor, std::int64_t offset, std::int64_t bytes, bool populate);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace ingot::shm
