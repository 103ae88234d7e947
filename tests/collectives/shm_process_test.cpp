// The shm transport between processes: what only shows where memory is mapped twice and a rank can
// be killed. Ranks are forked; each says by its exit code how it fared.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "collectives/shm/mapping.hpp"
#include "collectives/shm/mesh.hpp"
#include "collectives/shm/shm_communicator.hpp"
#include "ops/base/error.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {
namespace {

constexpr int kGood = 0;
constexpr int kBad = 1;

/// A socket pair between a hub, which gathers all texts, and each rank.
class Hub {
 public:
  explicit Hub(int ranks) : links_(static_cast<std::size_t>(ranks)) {
    for (auto& link : links_) {
      if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, link.data()) != 0) std::abort();
    }
  }
  std::vector<std::string> all_gather(int rank, const std::string& mine) const {
    const int link = links_[static_cast<std::size_t>(rank)][1];
    if (send(link, mine.data(), mine.size(), 0) < 0) std::abort();
    std::vector<std::string> all;
    for (std::size_t i = 0; i < links_.size(); ++i) all.push_back(receive(link));
    return all;
  }
  void serve() const {
    std::vector<std::string> all;
    for (const auto& link : links_) all.push_back(receive(link[0]));
    for (const auto& link : links_) {
      for (const std::string& text : all) send(link[0], text.data(), text.size(), 0);
    }
  }

 private:
  static std::string receive(int link) {
    std::string text(4096, '\0');
    const ssize_t bytes = recv(link, text.data(), text.size(), 0);
    text.resize(bytes < 0 ? 0 : static_cast<std::size_t>(bytes));
    return text;
  }
  std::vector<std::array<int, 2>> links_;
};

struct Process {
  int rank;
  cpu::CpuDevice& device;
  Stream& stream;
  ShmCommunicator& communicator;
};

/// Runs `body` in one process per rank; what waitpid tells of each.
std::vector<int> run_processes(int ranks, const std::function<int(Process&)>& body) {
  const Hub hub(ranks);
  std::vector<pid_t> children;
  for (int rank = 0; rank < ranks; ++rank) {
    const pid_t child = fork();
    if (child == 0) {
      int code = kBad;
      try {
        cpu::CpuDevice device(1, ranks);
        auto stream = device.create_stream("collectives");
        auto communicator = create_shm_communicator(
            {.rank = rank, .size = ranks, .all_gather = [&](const std::string& mine) {
               return hub.all_gather(rank, mine);
             }});
        Process process{rank, device, *stream, *communicator};
        code = body(process);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "rank %d: %s\n", rank, error.what());
      }
      _exit(code);
    }
    children.push_back(child);
  }
  hub.serve();
  std::vector<int> statuses;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    statuses.push_back(status);
  }
  return statuses;
}

bool exited_well(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == kGood;
}

TEST(ShmProcesses, ReduceBuffersThatEachRankMapsWhereverItWants) {
  constexpr std::int64_t kCount = 100'000;
  for (const int status : run_processes(3, [](Process& self) {
         // Sizes and offsets differ.
         const std::int64_t offset = self.rank * 1000;
         const Buffer buffer = self.device.allocate((kCount + offset) * 4, "data");
         self.communicator.share(buffer);
         float* data = static_cast<float*>(buffer.data()) + offset;
         for (std::int64_t i = 0; i < kCount; ++i) {
           data[i] = static_cast<float>(i % 100 + self.rank);
         }
         for (int round = 0; round < 20; ++round) {
           self.communicator.all_reduce(data, kCount, DType::kF32, ReduceOperation::kMax,
                                        self.stream, {"round", round});
         }
         self.stream.synchronize();
         self.communicator.unshare(buffer);
         for (std::int64_t i = 0; i < kCount; ++i) {
           if (data[i] != static_cast<float>(i % 100 + 2)) return kBad;
         }
         return kGood;
       })) {
    EXPECT_TRUE(exited_well(status)) << status;
  }
}

TEST(ShmProcesses, NoticeARankThatIsKilledInsideACollective) {
  const std::vector<int> statuses = run_processes(3, [](Process& self) {
    std::vector<float> data(300'000);
    for (int round = 0; round < 3; ++round) {
      self.communicator.all_reduce(data.data(), 300'000, DType::kF32, ReduceOperation::kSum,
                                   self.stream, {"round", round});
    }
    self.stream.synchronize();
    if (self.rank == 1) raise(SIGKILL);
    try {
      self.communicator.all_reduce(data.data(), 300'000, DType::kF32, ReduceOperation::kSum,
                                   self.stream, {"last"});
      self.stream.synchronize();
    } catch (const Error& error) {
      const std::string text = error.what();
      const bool named = text.find("rank 1 has ended in collective 3, all_reduce") == 0;
      const bool told = text.find("gave up") != std::string::npos;
      return error.code() == ExitCode::kTimeout && (named || told) ? kGood : kBad;
    }
    return kBad;
  });
  EXPECT_TRUE(exited_well(statuses[0]));
  EXPECT_TRUE(WIFSIGNALED(statuses[1]));
  EXPECT_TRUE(exited_well(statuses[2]));
}

TEST(ShmProcesses, LeaveNothingInAFileSystem) {
  const auto entries = [] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      const std::string name = entry.path().filename();
      if (name.find("ingot") != std::string::npos) names.push_back(name);
    }
    return names;
  };
  const auto before = entries();
  run_processes(2, [](Process& self) {
    const Buffer buffer = self.device.allocate(1 << 20, "data");
    self.communicator.share(buffer);
    raise(SIGKILL);
    return kBad;
  });
  EXPECT_EQ(entries(), before);
}

TEST(ShmMesh, BelievesNoFileThatItsOwnerCouldShrink) {
  const shm::File sealed = shm::create_memory("test", 4096);
  EXPECT_TRUE(shm::is_memory_of(sealed.get(), 4096));
  EXPECT_FALSE(shm::is_memory_of(sealed.get(), 4097));
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(ftruncate(fileno(file), 4096), 0);
  EXPECT_FALSE(shm::is_memory_of(fileno(file), 4096));
  std::fclose(file);
}

}  // namespace
}  // namespace ingot
