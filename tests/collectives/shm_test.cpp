// The shm transport among threads of one process: every operation and element type, on shared
// memory and on any other, and what happens when ranks disagree, hang or end. Inputs are small
// integers, so that sums are exact in any order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "collectives/shm/shm_communicator.hpp"
#include "ops/base/error.hpp"
#include "tests/collectives/shm_ranks.hpp"

namespace ingot {
namespace {

using test::on_shm_ranks;
using test::run_shm_ranks;
using test::ShmRank;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Element i of what a rank contributes: at most 7, so that the sum over 8 ranks fits bf16 and u8.
int contribution(int rank, std::int64_t i) {
  return static_cast<int>((i * 5 + rank * 3 + 1) % 8);
}

int reduced(ReduceOperation operation, int ranks, std::int64_t i) {
  int result = contribution(0, i);
  for (int rank = 1; rank < ranks; ++rank) {
    const int other = contribution(rank, i);
    if (operation == ReduceOperation::kSum) result += other;
    if (operation == ReduceOperation::kMin) result = std::min(result, other);
    if (operation == ReduceOperation::kMax) result = std::max(result, other);
  }
  return result;
}

template <typename T>
T to_element(int value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return Bf16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}
template <typename T>
double to_number(T value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return static_cast<float>(value);
  } else {
    return static_cast<double>(value);
  }
}

/// A buffer of one rank that is filled, used and compared; shared with the peers or not.
template <typename T>
class Data {
 public:
  Data(ShmRank& self, std::int64_t count, bool shared)
      : self_(self),
        count_(count),
        // One element more: what lies behind must stay as it is.
        buffer_(self.device->allocate((count + 1) * static_cast<std::int64_t>(sizeof(T)), "data")) {
    if (shared) self.communicator->share(buffer_);
    shared_ = shared;
    at()[count] = to_element<T>(99);
  }
  ~Data() {
    if (shared_) self_.communicator->unshare(buffer_);
  }
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;

  T* at(std::int64_t i = 0) const { return static_cast<T*>(buffer_.data()) + i; }

  template <typename F>
  void fill(F value) {
    for (std::int64_t i = 0; i < count_; ++i) *at(i) = to_element<T>(value(i));
  }
  template <typename F>
  void expect(const std::string& what, F expected) const {
    for (std::int64_t i = 0; i < count_; ++i) {
      if (to_number(*at(i)) == expected(i)) continue;
      ADD_FAILURE() << what << ", rank " << self_.rank << " of " << self_.ranks << ", element " << i
                    << " of " << count_ << ": " << to_number(*at(i)) << " instead of "
                    << expected(i);
      break;
    }
    EXPECT_EQ(to_number(*at(count_)), 99) << what << " wrote behind its result";
  }

 private:
  ShmRank& self_;
  std::int64_t count_;
  Buffer buffer_;
  bool shared_ = false;
};

constexpr ReduceOperation kOperations[] = {ReduceOperation::kSum, ReduceOperation::kMin,
                                           ReduceOperation::kMax};

/// Every operation on `count` elements.
template <typename T>
void check_every_operation(ShmRank& self, std::int64_t count, bool shared) {
  const DType type = dtype_of<T>();
  const int rank = self.rank;
  const int ranks = self.ranks;
  Stream& stream = *self.stream;
  Communicator& communicator = *self.communicator;
  const std::string size = std::to_string(count) + (shared ? " shared" : " private");
  const auto mine = [&](std::int64_t i) { return contribution(rank, i); };
  Data<T> small(self, count, shared);
  Data<T> large(self, count * ranks, shared);
  Data<T> result(self, count * ranks, shared);
  for (const ReduceOperation operation : kOperations) {
    const std::string name = size + " " + std::string(name_of(operation));
    small.fill(mine);
    communicator.all_reduce(small.at(), count, type, operation, stream, {"all_reduce"});
    stream.synchronize();
    small.expect("all_reduce " + name,
                 [&](std::int64_t i) { return reduced(operation, ranks, i); });

    const auto of_block = [&](std::int64_t i) {
      return reduced(operation, ranks, rank * count + i);
    };
    large.fill(mine);
    communicator.reduce_scatter(small.at(), large.at(), count, type, operation, stream,
                                {"reduce_scatter"});
    stream.synchronize();
    small.expect("reduce_scatter " + name, of_block);

    // In its own block.
    communicator.reduce_scatter(large.at(rank * count), large.at(), count, type, operation, stream,
                                {"reduce_scatter in place"});
    stream.synchronize();
    large.expect("reduce_scatter in place " + name, [&](std::int64_t i) {
      return i / std::max<std::int64_t>(count, 1) == rank ? of_block(i - rank * count) : mine(i);
    });
  }
  const auto gathered = [&](std::int64_t i) {
    return contribution(static_cast<int>(i / count), i % count);
  };
  small.fill(mine);
  communicator.all_gather(result.at(), small.at(), count, type, stream, {"all_gather"});
  stream.synchronize();
  result.expect("all_gather " + size, gathered);

  result.fill([](std::int64_t) { return 0; });
  std::copy(small.at(), small.at(count), result.at(rank * count));
  communicator.all_gather(result.at(), result.at(rank * count), count, type, stream,
                          {"all_gather in place"});
  stream.synchronize();
  result.expect("all_gather in place " + size, gathered);

  large.fill(mine);
  communicator.all_to_all(result.at(), large.at(), count, type, stream, {"all_to_all"});
  stream.synchronize();
  result.expect("all_to_all " + size, [&](std::int64_t i) {
    return contribution(static_cast<int>(i / count), rank * count + i % count);
  });

  for (int root = 0; root < ranks; ++root) {
    small.fill(mine);
    communicator.broadcast(small.at(), count, type, root, stream, {"broadcast", root});
    stream.synchronize();
    small.expect("broadcast " + size, [&](std::int64_t i) { return contribution(root, i); });
  }
}

class Shm : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, Shm, ::testing::Values(1, 2, 3, 5),
                         [](const auto& ranks) { return std::to_string(ranks.param) + "ranks"; });

TEST_P(Shm, DoesEveryOperationOnEveryElementType) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    const auto check = [&](auto element) {
      for (const std::int64_t count : {0, 1, 3, 1000, 9001}) {
        for (const bool shared : {true, false}) {
          check_every_operation<decltype(element)>(self, count, shared);
        }
      }
    };
    check(float());
    check(Bf16());
    check(double());
    check(std::uint8_t());
    check(std::uint16_t());
    check(std::int32_t());
    check(std::uint32_t());
    check(std::int64_t());
  });
}

TEST_P(Shm, MovesMoreThanItsAreasHold) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    for (const bool shared : {true, false}) check_every_operation<float>(self, 200003, shared);
  });
}

TEST_P(Shm, WorksWhereOnlySomeRanksShareTheirMemory) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    constexpr std::int64_t kCount = 50000;
    Data<float> data(self, kCount, false);
    const Buffer nothing;
    Buffer own = self.device->allocate(kCount * 4, "own");
    self.communicator->share(self.rank == 0 ? own : nothing);
    float* used = self.rank == 0 ? static_cast<float*>(own.data()) : data.at();
    for (std::int64_t i = 0; i < kCount; ++i) {
      used[i] = static_cast<float>(contribution(self.rank, i));
    }
    self.communicator->all_reduce(used, kCount, DType::kF32, ReduceOperation::kSum, *self.stream,
                                  {"mixed"});
    self.stream->synchronize();
    for (std::int64_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(used[i], reduced(ReduceOperation::kSum, self.ranks, i)) << i;
    }
    self.communicator->unshare(self.rank == 0 ? own : nothing);
  });
}

TEST_P(Shm, GivesAllRanksTheSameBitsOfAnInexactSum) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    for (const std::int64_t count : {7, 1000, 30001}) {
      for (const bool shared : {true, false}) {
        Data<float> data(self, count, shared);
        std::mt19937 random(static_cast<unsigned>(self.rank) + 1);
        std::normal_distribution<float> normal;
        for (std::int64_t i = 0; i < count; ++i) *data.at(i) = normal(random);
        self.communicator->all_reduce(data.at(), count, DType::kF32, ReduceOperation::kSum,
                                      *self.stream, {"bits"});
        self.stream->synchronize();
        const std::string bytes(reinterpret_cast<const char*>(data.at()),
                                static_cast<std::size_t>(count) * 4);
        for (const std::string& other : self.exchange.all_gather(self.rank, bytes)) {
          ASSERT_TRUE(other == bytes) << "count " << count;
        }
      }
    }
  });
}

TEST(ShmReduction, RoundsBf16OnceAfterAllRanks) {
  // 256 + 1 + 1 is 258 in f32; rounding after each addition would stay at 256.
  on_shm_ranks(3, [](ShmRank& self) {
    std::vector<Bf16> data(41, Bf16(self.rank == 0 ? 256.0F : 1.0F));
    self.communicator->all_reduce(data.data(), 41, DType::kBf16, ReduceOperation::kSum,
                                  *self.stream, {"rounding"});
    self.stream->synchronize();
    for (const Bf16 value : data) ASSERT_EQ(static_cast<float>(value), 258.0F);
  });
}

TEST_P(Shm, LetsOneStreamGetAheadOfAnotherByNoMoreThanItsWindow) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    constexpr int kCalls = 400;
    auto ahead = self.device->create_stream("ahead");
    auto event = self.device->create_event();
    std::vector<std::array<float, 16>> buffers(kCalls);
    for (auto& buffer : buffers) buffer.fill(1.0F);
    std::atomic<bool> open{false};
    self.stream->call(
        [](void* gate) {
          while (!static_cast<std::atomic<bool>*>(gate)->load()) std::this_thread::yield();
        },
        &open);
    for (int i = 0; i < kCalls; ++i) {
      Stream& stream = i % 2 == 0 ? *self.stream : *ahead;
      self.communicator->all_reduce(buffers[static_cast<std::size_t>(i)].data(), 16, DType::kF32,
                                    ReduceOperation::kSum, stream, {"call", i});
      if (i == 15) ahead->record(*event);
    }
    event->synchronize();
    open.store(true);
    self.stream->synchronize();
    ahead->synchronize();
    for (const auto& buffer : buffers) {
      for (const float value : buffer) ASSERT_EQ(value, static_cast<float>(self.ranks));
    }
  });
}

TEST_P(Shm, RunsCollectivesOfTwoStreamsThatRanksReachInDifferentOrder) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    auto other = self.device->create_stream("other");
    std::vector<std::vector<float>> buffers;
    for (int i = 0; i < 24; ++i) buffers.emplace_back(static_cast<std::size_t>(1 + i * 4001), 1.0F);
    std::atomic<bool> open{false};
    // Holds one of the streams back, on even ranks the one and on odd ranks the other.
    Stream& held = self.rank % 2 == 0 ? *self.stream : *other;
    held.call(
        [](void* gate) {
          while (!static_cast<std::atomic<bool>*>(gate)->load()) std::this_thread::yield();
        },
        &open);
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      self.communicator->all_reduce(buffers[i].data(), static_cast<std::int64_t>(buffers[i].size()),
                                    DType::kF32, ReduceOperation::kSum,
                                    i % 2 == 0 ? *self.stream : *other,
                                    {"bucket", static_cast<int>(i)});
    }
    open.store(true);
    self.stream->synchronize();
    other->synchronize();
    for (const auto& buffer : buffers) {
      for (const float value : buffer) ASSERT_EQ(value, self.ranks);
    }
  });
}

TEST_P(Shm, SplitsByColorAndOrdersByKeyAndSeesWhatTheWholeShared) {
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    constexpr std::int64_t kCount = 20000;
    Data<float> data(self, kCount, true);
    data.fill([&](std::int64_t i) { return contribution(self.rank, i); });
    auto half = self.communicator->split(self.rank % 2, -self.rank);
    const int members = (self.ranks + 1 - self.rank % 2) / 2;
    ASSERT_EQ(half->size(), members);
    EXPECT_EQ(half->rank(), members - 1 - self.rank / 2);
    half->all_reduce(data.at(), kCount, DType::kF32, ReduceOperation::kMax, *self.stream, {"half"});
    self.stream->synchronize();
    data.expect("half", [&](std::int64_t i) {
      int most = 0;
      for (int rank = self.rank % 2; rank < self.ranks; rank += 2) {
        most = std::max(most, contribution(rank, i));
      }
      return most;
    });
  });
}

/// Keeps what is enqueued, to be replayed: a CUDA graph as a communicator sees it.
class RecordedStream final : public Stream {
 public:
  explicit RecordedStream(Device& device) : device_(device) {}
  Device& device() override { return device_; }
  void call(HostFunction function, void* context) override {
    calls_.emplace_back(function, context);
  }
  bool recording() const override { return true; }
  void record(Event& /*event*/) override {}
  void wait(Event& /*event*/) override {}
  void synchronize() override {}

  void replay(Stream& stream) const {
    for (const auto& [function, context] : calls_) stream.call(function, context);
  }

 private:
  Device& device_;
  std::vector<std::pair<HostFunction, void*>> calls_;
};

TEST_P(Shm, RepeatsRecordedCallsBetweenOthers) {
  if (GetParam() == 1) return;
  on_shm_ranks(GetParam(), [](ShmRank& self) {
    RecordedStream recorded(*self.device);
    std::vector<std::int64_t> small(10, 1);
    std::vector<std::int64_t> large(40000, 1);
    std::vector<std::int64_t> other(500, 1);
    const auto all_reduce = [&](std::vector<std::int64_t>& data, Stream& stream) {
      self.communicator->all_reduce(data.data(), static_cast<std::int64_t>(data.size()),
                                    DType::kI64, ReduceOperation::kSum, stream, {"recorded"});
    };
    all_reduce(small, recorded);
    all_reduce(large, recorded);
    std::int64_t expected = 1;
    for (int round = 0; round < 20; ++round) {
      recorded.replay(*self.stream);
      all_reduce(other, *self.stream);
      if (round % 7 == 6) self.stream->synchronize();
      expected *= self.ranks;  // wraps around alike
    }
    self.stream->synchronize();
    for (const auto* data : {&small, &large, &other}) {
      for (const std::int64_t value : *data) ASSERT_EQ(value, expected);
    }
  });
}

/// The message with which a rank ended, or "" if it did not; the code must be that of a timeout.
std::string timeout_of(const std::exception_ptr& error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const Error& caught) {
    EXPECT_EQ(caught.code(), ExitCode::kTimeout) << caught.what();
    return caught.what();
  }
  return "";
}

TEST(ShmFailure, NamesWhatRanksCallThatDisagree) {
  const auto errors = run_shm_ranks(2, [](ShmRank& self) {
    std::vector<float> data(100);
    self.communicator->all_reduce(data.data(), self.rank == 0 ? 100 : 99, DType::kF32,
                                  ReduceOperation::kSum, *self.stream, {"bucket", 3});
    self.stream->synchronize();
  });
  EXPECT_THAT(timeout_of(errors[0]) + timeout_of(errors[1]),
              AllOf(HasSubstr("ranks disagree"), HasSubstr("all_reduce of 100 f32 (sum), bucket 3"),
                    HasSubstr("all_reduce of 99 f32 (sum), bucket 3")));
  for (const auto& error : errors) EXPECT_NE(timeout_of(error), "");
}

TEST(ShmFailure, NamesWhoHasNotCome) {
  const auto errors = run_shm_ranks(
      3,
      [](ShmRank& self) {
        self.communicator->barrier(*self.stream, {"before", 1});
        self.stream->synchronize();
        // Rank 1 stays away until the others have given up.
        if (self.rank != 1) {
          try {
            self.communicator->barrier(*self.stream, {"meeting", 2});
            self.stream->synchronize();
          } catch (...) {
            self.barrier();
            throw;
          }
        }
        self.barrier();
      },
      0.2);
  EXPECT_EQ(timeout_of(errors[1]), "");
  EXPECT_THAT(timeout_of(errors[0]) + timeout_of(errors[2]),
              AllOf(HasSubstr("no answer from rank 1"), HasSubstr("barrier, meeting 2"),
                    HasSubstr("Not arrived: rank 1, which has finished collective 0, barrier, "
                              "before 1")));
}

TEST(ShmFailure, NoticesARankThatHasEnded) {
  const auto errors = run_shm_ranks(
      2,
      [](ShmRank& self) {
        if (self.rank == 1) {
          self.communicator.reset();
          return;
        }
        self.communicator->barrier(*self.stream, {"meeting"});
        self.stream->synchronize();
      },
      0);
  EXPECT_THAT(timeout_of(errors[0]), HasSubstr("rank 1 has ended"));
}

TEST(ShmFailure, TellsThePeersOfARankThatGaveUp) {
  const auto errors = run_shm_ranks(
      3,
      [](ShmRank& self) {
        std::vector<float> data(10);
        // Ranks 0 and 1 disagree; rank 2 waits for both.
        const CollectiveLabel label{"something"};
        if (self.rank == 0) {
          self.communicator->barrier(*self.stream, label);
        } else {
          self.communicator->all_gather(data.data(), data.data(), 1, DType::kF32, *self.stream,
                                        label);
        }
        self.stream->synchronize();
      },
      0);
  for (const auto& error : errors) EXPECT_NE(timeout_of(error), "");
}

TEST(ShmProgress, ShowsHowFarEveryRankHasCome) {
  on_shm_ranks(2, [](ShmRank& self) {
    for (int i = 0; i < 3; ++i) self.communicator->barrier(*self.stream, {"round", i});
    self.stream->synchronize();
    self.barrier();
    for (const RankProgress& progress : self.communicator->progress()) {
      EXPECT_EQ(progress.started, 3U);
      EXPECT_EQ(progress.finished, 3U);
      EXPECT_THAT(progress.text, HasSubstr("collective 2, barrier, round 2"));
    }
    self.barrier();
  });
}

}  // namespace
}  // namespace ingot
