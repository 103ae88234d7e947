// Files as ingot uses them: descriptors that close themselves, whole files read under a size cap,
// and writes that are either complete and durable or not there at all. Every error names the path
// and what the system said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// Owns a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }
  int release();
  void reset();

 private:
  int descriptor_ = -1;
};

/// Opens a regular file for reading; directories, pipes and devices are refused. Throws
/// Error(kBadData).
FileDescriptor open_for_reading(const std::filesystem::path& path);

/// The whole file. Throws Error(kBadData) if it cannot be read or has more than `most_bytes`.
std::string read_file(const std::filesystem::path& path, std::int64_t most_bytes);

/// Reads exactly this many bytes at the offset. Throws Error(kBadData), also where the file ends.
void read_exactly(const FileDescriptor& file, void* to, std::int64_t bytes, std::int64_t offset,
                  const std::filesystem::path& path);

/// Writes all bytes at the current position. Throws Error(kCannotWrite).
void write_all(const FileDescriptor& file, std::span<const std::byte> bytes,
               const std::filesystem::path& path);

/// Who may read what is created.
enum class FileAccess : std::uint8_t {
  kShared,  ///< as the umask says
  kPrivate  ///< files 0600, folders 0700
};

/// Replaces the file as a whole: a temporary file beside it is written, fsynced and renamed over
/// it, then the folder is fsynced. After a crash the old or the new contents are there, never a
/// part. Throws Error(kCannotWrite); the temporary file is removed.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents,
                           FileAccess access = FileAccess::kShared);

/// Creates the folder and its parents. Throws Error(kCannotWrite).
void create_folders(const std::filesystem::path& path, FileAccess access = FileAccess::kShared);

/// Makes entries that were created, renamed or removed in this folder durable. Throws
/// Error(kCannotWrite).
void sync_folder(const std::filesystem::path& path);

/// What the system says about an errno, thread-safe: "No space left on device".
std::string system_message(int error_number);

}  // namespace ingot
