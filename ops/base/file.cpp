#include "ops/base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "ops/base/error.hpp"
#include "ops/base/units.hpp"

namespace ingot {

namespace {

// One read or write call moves at most 2^31 - 4096 bytes on Linux.
constexpr std::int64_t kMostPerCall = std::int64_t{1} << 30;

[[noreturn]] void fail_to_write(const std::filesystem::path& path, std::string_view what) {
  const int error_number = errno;
  fail(ExitCode::kCannotWrite, "{}: cannot {}: {}", path.string(), what,
       system_message(error_number));
}

/// Unique among the threads of this host: each writes one file at a time.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  auto name = path;
  name += fmt::format(".tmp-{}-{}", ::getpid(), ::gettid());
  return name;
}

/// Removes a file unless it was renamed away.
class Temporary {
 public:
  explicit Temporary(std::filesystem::path path) : path_(std::move(path)) {}
  ~Temporary() {
    if (!kept_) ::unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  void keep() { kept_ = true; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    reset();
    descriptor_ = other.release();
  }
  return *this;
}

int FileDescriptor::release() {
  return std::exchange(descriptor_, -1);
}

void FileDescriptor::reset() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

std::string system_message(int error_number) {
  return std::generic_category().message(error_number);
}

FileDescriptor open_for_reading(const std::filesystem::path& path) {
  // Without O_NONBLOCK the open of a pipe with no writer would never return.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    fail(ExitCode::kBadData, "{}: cannot open: {}", path.string(), system_message(errno));
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) {
    fail(ExitCode::kBadData, "{}: cannot stat: {}", path.string(), system_message(errno));
  }
  if (S_ISDIR(status.st_mode))
    fail(ExitCode::kBadData, "{}: is a directory, not a file", path.string());
  if (!S_ISREG(status.st_mode))
    fail(ExitCode::kBadData, "{}: is not a regular file", path.string());
  return file;
}

std::string read_file(const std::filesystem::path& path, std::int64_t most_bytes) {
  const FileDescriptor file = open_for_reading(path);
  // The size is not asked for: files of /proc say 0, and a file may grow while it is read.
  std::string contents;
  constexpr std::int64_t kPiece = 1 << 16;
  while (true) {
    const std::size_t held = contents.size();
    const std::int64_t room = most_bytes + 1 - static_cast<std::int64_t>(held);
    if (room <= 0) {
      fail(ExitCode::kBadData, "{}: is larger than the {} that are accepted here", path.string(),
           format_bytes(most_bytes));
    }
    const std::int64_t piece = std::min(room, std::max(kPiece, static_cast<std::int64_t>(held)));
    contents.resize(held + static_cast<std::size_t>(piece));
    ssize_t got = 0;
    do {
      got = ::read(file.get(), contents.data() + held,
                   static_cast<std::size_t>(std::min(piece, kMostPerCall)));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      fail(ExitCode::kBadData, "{}: cannot read: {}", path.string(), system_message(errno));
    }
    contents.resize(held + static_cast<std::size_t>(got));
    if (got == 0) return contents;
  }
}

void read_exactly(const FileDescriptor& file, void* to, std::int64_t bytes, std::int64_t offset,
                  const std::filesystem::path& path) {
  auto* position = static_cast<char*>(to);
  while (bytes > 0) {
    const auto piece = static_cast<std::size_t>(std::min(bytes, kMostPerCall));
    const ssize_t got = ::pread(file.get(), position, piece, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      fail(ExitCode::kBadData, "{}: cannot read: {}", path.string(), system_message(errno));
    }
    if (got == 0) {
      fail(ExitCode::kBadData, "{}: ends at byte {}, {} more bytes were expected; is it truncated?",
           path.string(), offset, bytes);
    }
    position += got;
    offset += got;
    bytes -= got;
  }
}

void write_all(const FileDescriptor& file, std::span<const std::byte> bytes,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const auto piece = std::min(bytes.size(), static_cast<std::size_t>(kMostPerCall));
    const ssize_t written = ::write(file.get(), bytes.data(), piece);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_to_write(path, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view contents,
                           FileAccess access) {
  const auto temporary_path = temporary_name(path);
  const mode_t mode = access == FileAccess::kPrivate ? 0600 : 0666;
  FileDescriptor file(
      ::open(temporary_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) fail_to_write(temporary_path, "create");
  Temporary temporary(temporary_path);
  write_all(file, std::as_bytes(std::span(contents)), temporary_path);
  if (::fsync(file.get()) != 0) fail_to_write(temporary_path, "fsync");
  // Network file systems report a full disk at close.
  if (::close(file.release()) != 0) fail_to_write(temporary_path, "close");
  if (::rename(temporary_path.c_str(), path.c_str()) != 0) fail_to_write(path, "rename to it");
  temporary.keep();
  sync_folder(folder_of(path));
}

void create_folders(const std::filesystem::path& path, FileAccess access) {
  std::filesystem::path so_far;
  for (const auto& part : path) {
    so_far /= part;
    if (so_far.empty()) continue;
    if (::mkdir(so_far.c_str(), access == FileAccess::kPrivate ? 0700 : 0777) == 0) continue;
    const int error_number = errno;
    struct stat status = {};
    if (::stat(so_far.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
    fail(ExitCode::kCannotWrite, "{}: cannot create the folder: {}", so_far.string(),
         system_message(error_number));
  }
}

void sync_folder(const std::filesystem::path& path) {
  const FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) fail_to_write(path, "open the folder");
  // Some file systems cannot sync folders and say EINVAL; there is nothing more to do on them.
  if (::fsync(folder.get()) != 0 && errno != EINVAL) fail_to_write(path, "fsync the folder");
}

}  // namespace ingot
