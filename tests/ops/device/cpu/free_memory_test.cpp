#include "ops/device/cpu/free_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

namespace ingot::cpu {
namespace {

/// A folder that stands for "/".
class FreeMemory : public testing::Test {
 protected:
  FreeMemory()
      : root_(std::filesystem::temp_directory_path() / ("ingot-root-" + std::to_string(getpid()))) {
  }
  ~FreeMemory() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::int64_t found() const { return free_memory(root_.string()); }

  std::filesystem::path root_;
};

TEST_F(FreeMemory, IsUnknownWhereTheSystemDoesNotSay) {
  EXPECT_EQ(found(), std::numeric_limits<std::int64_t>::max());
}

TEST_F(FreeMemory, IsWhatTheKernelCallsAvailable) {
  write("proc/meminfo", "MemTotal:  4000 kB\nMemFree:  100 kB\nMemAvailable:   3000 kB\n");
  EXPECT_EQ(found(), 3000 * 1024);
}

TEST_F(FreeMemory, IsWhatTheTightestControlGroupLeaves) {
  write("proc/meminfo", "MemAvailable: 3000 kB\n");
  write("proc/self/cgroup", "0::/jobs/seven\n");
  write("sys/fs/cgroup/jobs/seven/memory.max", "max\n");
  write("sys/fs/cgroup/jobs/seven/memory.current", "4096\n");
  EXPECT_EQ(found(), 3000 * 1024) << "no limit";
  write("sys/fs/cgroup/jobs/memory.max", "1000000\n");
  write("sys/fs/cgroup/jobs/memory.current", "700000\n");
  write("sys/fs/cgroup/jobs/memory.stat", "file 300000\ninactive_file 200000\n");
  EXPECT_EQ(found(), 500000) << "of the group around, whose cache can be dropped";
  write("sys/fs/cgroup/memory.max", "10000\n");
  write("sys/fs/cgroup/memory.current", "20000\n");
  EXPECT_EQ(found(), 0);
}

TEST_F(FreeMemory, KnowsTheFirstVersionOfControlGroups) {
  write("proc/meminfo", "MemAvailable: 3000 kB\n");
  write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/outside/of/here\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "900000\n");
  write("sys/fs/cgroup/memory/memory.usage_in_bytes", "100000\n");
  write("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 50000\n");
  EXPECT_EQ(found(), 850000) << "a container sees its group as the root";
}

TEST(FreeMemoryOfThisMachine, IsMoreThanNothing) {
  EXPECT_GT(free_memory(), 0);
}

}  // namespace
}  // namespace ingot::cpu
