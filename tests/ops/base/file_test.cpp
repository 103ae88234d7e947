#include "ops/base/file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class File : public testing::Test {
 protected:
  File() {
    std::string name = (fs::temp_directory_path() / "ingot-file-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~File() override { fs::remove_all(folder_); }

  fs::path folder_;
};

template <typename Call>
std::string message_of(ExitCode code, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

mode_t mode_of(const fs::path& path) {
  struct stat status = {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 0777;
}

TEST_F(File, WrittenAtomicallyReadsBackAndLeavesNothingElse) {
  const fs::path path = folder_ / "a.txt";
  const std::string contents = std::string("one\0two", 7) + std::string(200000, 'x');
  write_file_atomically(path, "before");
  write_file_atomically(path, contents);
  EXPECT_EQ(read_file(path, 1 << 20), contents);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(File, PrivateFilesAndFoldersAreTheOwnersAlone) {
  create_folders(folder_ / "a" / "b", FileAccess::kPrivate);
  write_file_atomically(folder_ / "a" / "b" / "c", "x", FileAccess::kPrivate);
  EXPECT_EQ(mode_of(folder_ / "a"), 0700U);
  EXPECT_EQ(mode_of(folder_ / "a" / "b" / "c"), 0600U);
}

TEST_F(File, ThatIsMissingAFolderOrAPipeIsRefused) {
  EXPECT_THAT(message_of(ExitCode::kBadData, [&] { read_file(folder_ / "none", 10); }),
              testing::AllOf(HasSubstr("none"), HasSubstr("No such file or directory")));
  EXPECT_THAT(message_of(ExitCode::kBadData, [&] { read_file(folder_, 10); }),
              HasSubstr("is a directory"));
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of(ExitCode::kBadData, [&] { read_file(folder_ / "pipe", 10); }),
              HasSubstr("not a regular file"));
}

TEST_F(File, LargerThanTheCapIsRefused) {
  write_file_atomically(folder_ / "a", std::string(100, 'x'));
  EXPECT_EQ(read_file(folder_ / "a", 100).size(), 100U);
  EXPECT_THAT(message_of(ExitCode::kBadData, [&] { read_file(folder_ / "a", 99); }),
              HasSubstr("larger than"));
}

TEST_F(File, ReadPastItsEndSaysSo) {
  write_file_atomically(folder_ / "a", "0123456789");
  const FileDescriptor file = open_for_reading(folder_ / "a");
  std::string bytes(4, ' ');
  read_exactly(file, bytes.data(), 4, 3, folder_ / "a");
  EXPECT_EQ(bytes, "3456");
  EXPECT_THAT(message_of(ExitCode::kBadData,
                         [&] { read_exactly(file, bytes.data(), 4, 8, folder_ / "a"); }),
              HasSubstr("truncated"));
}

TEST_F(File, ThatCannotBeWrittenNamesThePathAndTheReason) {
  EXPECT_THAT(
      message_of(ExitCode::kCannotWrite, [&] { write_file_atomically(folder_ / "no" / "a", "x"); }),
      testing::AllOf(HasSubstr("no/a"), HasSubstr("No such file or directory")));
  write_file_atomically(folder_ / "file", "x");
  EXPECT_THAT(message_of(ExitCode::kCannotWrite, [&] { create_folders(folder_ / "file" / "b"); }),
              HasSubstr("file"));
  fs::create_directory(folder_ / "folder");
  EXPECT_THAT(
      message_of(ExitCode::kCannotWrite, [&] { write_file_atomically(folder_ / "folder", "x"); }),
      HasSubstr("folder"));
  EXPECT_FALSE(fs::exists(folder_ / "no"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2)
      << "a temporary file was left behind";
}

TEST_F(File, FullDiskIsAnErrorOfWriting) {
  const FileDescriptor full(::open("/dev/full", O_WRONLY));
  if (!full) GTEST_SKIP() << "this system has no /dev/full";
  const std::string text = "x";
  EXPECT_THAT(message_of(ExitCode::kCannotWrite,
                         [&] { write_all(full, std::as_bytes(std::span(text)), "/dev/full"); }),
              HasSubstr("No space left"));
}

}  // namespace
}  // namespace ingot
