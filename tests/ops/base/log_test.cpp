#include "ops/base/log.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace ingot {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Log : public testing::Test {
 protected:
  Log() {
    std::string name = (fs::temp_directory_path() / "ingot-log-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    console_ = open_sink("console");
    errors_ = open_sink("errors");
  }
  ~Log() override { fs::remove_all(folder_); }

  FileDescriptor open_sink(const std::string& name) {
    return FileDescriptor(::open((folder_ / name).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  }
  std::string text_of(const std::string& name) { return read_file(folder_ / name, 1 << 20); }

  fs::path folder_;
  FileDescriptor console_;
  FileDescriptor errors_;
};

TEST_F(Log, InformationOfRankZeroAloneReachesTheConsole) {
  Logger zero(0, console_.get(), errors_.get());
  Logger three(3, console_.get(), errors_.get());
  zero.info("step {}", 1);
  three.info("step {}", 2);
  zero.console("\rprogress");
  three.console("\rprogress");
  EXPECT_EQ(text_of("console"), "step 1\n\rprogress");
  EXPECT_EQ(text_of("errors"), "");
}

TEST_F(Log, WarningsOfAnyRankGoToStderrWithRankAndHost) {
  Logger three(3, console_.get(), errors_.get());
  three.warning("disk is {} % full", 97);
  three.error("lost");
  EXPECT_EQ(text_of("errors"), fmt::format("[rank 3 {0}] WARN: disk is 97 % full\n"
                                           "[rank 3 {0}] ERROR: lost\n",
                                           host_name()));
}

TEST_F(Log, EveryRankHasAFileOfItsOwn) {
  Logger three(3, console_.get(), errors_.get());
  three.info("before the file is open");
  three.open_file(folder_ / "logs");
  three.info("hello");
  three.warning("careful");
  const std::string text = text_of("logs/rank-00003.log");
  EXPECT_THAT(text, testing::MatchesRegex("20..-..-..T..:..:..\\....Z INFO  hello\n"
                                          "20..-..-..T..:..:..\\....Z WARN  careful\n"));
}

TEST_F(Log, ClosedPipeDoesNotEndTheProcess) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  FileDescriptor write_end(ends[1]);
  ::close(ends[0]);
  Logger logger(0, write_end.get(), errors_.get());
  logger.info("nobody reads this");
  logger.info("nor this");
  logger.warning("still here");
  EXPECT_THAT(text_of("errors"), HasSubstr("still here"));
  Logger closed(0, -1, -1);
  closed.error("into nothing");
}

TEST_F(Log, FullDiskIsReportedOnceAndSurvived) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  fs::create_directory(folder_ / "logs");
  fs::create_symlink("/dev/full", folder_ / "logs" / "rank-00000.log");
  Logger logger(0, console_.get(), errors_.get());
  logger.open_file(folder_ / "logs");
  logger.info("one");
  logger.info("two");
  const std::string errors = text_of("errors");
  EXPECT_THAT(errors, HasSubstr("No space left"));
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 1);
}

TEST_F(Log, LinesOfSeveralThreadsStayWhole) {
  Logger logger(0, console_.get(), errors_.get());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) logger.info("{}", std::string(50, 'a'));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::string expected;
  for (int i = 0; i < 400; ++i) expected += std::string(50, 'a') + "\n";
  EXPECT_EQ(text_of("console"), expected);
}

}  // namespace
}  // namespace ingot
