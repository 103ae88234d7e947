// What only direct collectives have to show, on one GPU per rank: the order of their sums, replays,
// streams and lanes, parts, and refusals. The sweep over operations and element types is that of
// communicator_mpi_test. Started under mpirun by CMakeLists.txt here.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "collectives/algorithms/reduction_tree.hpp"
#include "collectives/algorithms/tree_sum.hpp"
#include "collectives/cuda_collectives.hpp"
#include "collectives/flight_report.hpp"
#include "tests/mpi_main.hpp"
#include "tests/rank_device.hpp"

namespace ingot {
namespace {

using test::session;
using Fit = DirectCommunicator::Fit;

constexpr std::int64_t kOneShot = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kTwoShot = 0;

DirectResult join(Device& device, std::int64_t one_shot_bytes, std::int64_t staging = 64 << 10) {
  DirectOptions options;
  options.rank = session->rank();
  options.size = session->size();
  options.device = &device;
  options.all_gather = [](const std::string& mine) {
    return session->control().all_gather_bytes(mine);
  };
  options.abort = [](int exit_code) { session->abort(exit_code); };
  options.one_shot_bytes = one_shot_bytes;
  options.staging_bytes = staging;
  options.most_blocks = 16;  // one communicator at a time, and several blocks
  return load_cuda_collectives().create_direct(options);
}

class Direct : public ::testing::Test {
 protected:
  int rank() const { return session->rank(); }
  int ranks() const { return session->size(); }

  DirectCommunicator& with(std::int64_t one_shot_bytes, std::int64_t staging = 64 << 10) {
    DirectResult result = join(*device_, one_shot_bytes, staging);
    EXPECT_EQ(result.refusal, "");
    communicator_ = std::move(result.communicator);
    return *communicator_;
  }

  template <typename T>
  Buffer on_device(const std::vector<T>& values, Stream& stream) {
    const auto bytes = static_cast<std::int64_t>(values.size() * sizeof(T));
    Buffer host = device_->allocate_host(bytes, "test");
    Buffer buffer = device_->allocate(bytes, "test");
    std::memcpy(host.data(), values.data(), values.size() * sizeof(T));
    device_->copy(stream, buffer.data(), host.data(), bytes);
    stream.synchronize();
    return buffer;
  }
  template <typename T>
  std::vector<T> on_host(const Buffer& buffer, Stream& stream) {
    Buffer host = device_->allocate_host(buffer.bytes(), "test");
    device_->copy(stream, host.data(), buffer.data(), buffer.bytes());
    stream.synchronize();
    const auto* values = static_cast<const T*>(host.data());
    return {values, values + buffer.bytes() / static_cast<std::int64_t>(sizeof(T))};
  }

  std::unique_ptr<Device> device_ = test::make_device_of_rank(session->rank(), session->size());
  std::unique_ptr<Stream> stream_ = device_->create_stream("collectives");
  std::unique_ptr<DirectCommunicator> communicator_;
};

/// What a rank contributes: values whose sums depend on the order.
std::vector<float> inexact(int rank, std::int64_t count) {
  std::mt19937 random(static_cast<unsigned>(rank) + 1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

/// The sum of everybody's values in the order of the reduction tree.
std::vector<float> tree_sum(const std::vector<std::vector<float>>& parts) {
  const auto ranks = static_cast<int>(parts.size());
  const ReductionTree tree(ranks, ranks, MicroAssignment::kConsecutive);
  std::vector<TreeSumItem> items;
  for (const TreeItem& item : tree.items()) items.push_back({item.rank, item.merges});
  const TreeSum sum(items);
  std::vector<float> blocks;
  for (const auto& part : parts) blocks.insert(blocks.end(), part.begin(), part.end());
  std::vector<float> result(parts.front().size());
  std::vector<float> scratch(static_cast<std::size_t>(sum.scratch_count()));
  sum.run(result.data(), blocks.data(), static_cast<std::int64_t>(result.size()), scratch.data());
  return result;
}

std::vector<float> tree_sum_of_ranks(int ranks, std::int64_t count) {
  std::vector<std::vector<float>> parts;
  for (int rank = 0; rank < ranks; ++rank) parts.push_back(inexact(rank, count));
  return tree_sum(parts);
}

constexpr std::array<std::int64_t, 6> kCounts = {1, 7, 1000, 4099, 16384, 50001};

TEST_F(Direct, AddsInTheOrderOfTheReductionTreeWhetherOneShotOrTwoShot) {
  for (const std::int64_t limit : {kOneShot, kTwoShot}) {
    DirectCommunicator& communicator = with(limit);
    for (const std::int64_t count : kCounts) {
      const Buffer data = on_device(inexact(rank(), count), *stream_);
      communicator.all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                              {"sum"});
      ASSERT_EQ(on_host<float>(data, *stream_), tree_sum_of_ranks(ranks(), count)) << count;
    }
    communicator_.reset();
  }
}

TEST_F(Direct, AddsScatteredSumsInTheOrderOfTheReductionTree) {
  DirectCommunicator& communicator = with(kOneShot);
  for (const std::int64_t count : kCounts) {
    const Buffer from = on_device(inexact(rank(), count * ranks()), *stream_);
    const Buffer to = on_device(std::vector<float>(static_cast<std::size_t>(count)), *stream_);
    communicator.reduce_scatter(to.data(), from.data(), count, DType::kF32, ReduceOperation::kSum,
                                *stream_, {"sum"});
    const std::vector<float> all = tree_sum_of_ranks(ranks(), count * ranks());
    const auto begin = all.begin() + rank() * count;
    ASSERT_EQ(on_host<float>(to, *stream_), std::vector<float>(begin, begin + count)) << count;
  }
}

TEST_F(Direct, RoundsSumsOfBf16Once) {
  for (const std::int64_t limit : {kOneShot, kTwoShot}) {
    DirectCommunicator& communicator = with(limit);
    for (const std::int64_t count : kCounts) {
      std::vector<std::vector<float>> parts;
      std::vector<std::uint16_t> mine;
      for (int rank = 0; rank < ranks(); ++rank) {
        parts.push_back(inexact(rank, count));
        for (float& value : parts.back()) {
          const Bf16 rounded(value);
          if (rank == this->rank()) mine.push_back(rounded.bits);
          value = static_cast<float>(rounded);
        }
      }
      std::vector<std::uint16_t> expected;
      for (const float sum : tree_sum(parts)) expected.push_back(Bf16(sum).bits);
      const Buffer data = on_device(mine, *stream_);
      communicator.all_reduce(data.data(), count, DType::kBf16, ReduceOperation::kSum, *stream_,
                              {"sum"});
      ASSERT_EQ(on_host<std::uint16_t>(data, *stream_), expected) << count;
    }
    communicator_.reset();
  }
}

/// What the counters of gpusim are compared for (counts_test.py): each kernel once, of n bytes (a
/// block, for what has blocks) that are whole vectors for each rank.
TEST_F(Direct, MakesOneCallOfEach) {
  constexpr std::int64_t kCount = 8 * 3 * 5 * 7 * 16;  // for up to 8 ranks
  const auto all = static_cast<std::size_t>(kCount * ranks());
  const Buffer data = on_device(std::vector<float>(kCount, 1.0F), *stream_);
  const Buffer blocks = on_device(std::vector<float>(all, 2.0F), *stream_);
  const auto sum = [&](DirectCommunicator& communicator) {
    communicator.all_reduce(data.data(), kCount, DType::kF32, ReduceOperation::kSum, *stream_,
                            {"all_reduce"});
    stream_->synchronize();
  };
  sum(with(kOneShot, 1 << 20));
  communicator_.reset();
  DirectCommunicator& communicator = with(kTwoShot, 1 << 20);
  sum(communicator);
  communicator.reduce_scatter(data.data(), blocks.data(), kCount, DType::kF32,
                              ReduceOperation::kSum, *stream_, {"reduce_scatter"});
  communicator.all_gather(blocks.data(), data.data(), kCount, DType::kF32, *stream_,
                          {"all_gather"});
  const auto ranks = static_cast<float>(this->ranks());
  EXPECT_EQ(on_host<float>(blocks, *stream_), std::vector<float>(all, 2.0F * ranks));
}

/// Many calls with no wait of the host between them. The data grow at each, so that one that reads
/// what another left is seen. These tests also run with each fence of the kernels left out in turn.
class DirectInARow : public Direct {
 protected:
  void add_up(std::int64_t one_shot_bytes) {
    DirectCommunicator& communicator = with(one_shot_bytes);
    constexpr std::int64_t kCount = 3000;
    const Buffer data = on_device(std::vector<float>(kCount, 1.0F), *stream_);
    float expected = 1;
    for (int round = 0; round < 8; ++round) {
      communicator.all_reduce(data.data(), kCount, DType::kF32, ReduceOperation::kSum, *stream_,
                              {"round", round});
      expected *= static_cast<float>(ranks());
    }
    ASSERT_EQ(on_host<float>(data, *stream_), std::vector<float>(kCount, expected));
  }
};

TEST_F(DirectInARow, AddsUpInOneShot) {
  add_up(kOneShot);
}

TEST_F(DirectInARow, AddsUpInTwoShot) {
  add_up(kTwoShot);
}

TEST_F(DirectInARow, AddsUpInBothInTurn) {
  DirectCommunicator& communicator = with(4000);
  constexpr std::int64_t kCount = 3000;
  constexpr std::int64_t kFirst = 1000;  // these one-shot, then all two-shot
  const Buffer data = on_device(std::vector<float>(kCount, 1.0F), *stream_);
  std::vector<float> expected(kCount, 1.0F);
  for (int round = 0; round < 8; ++round) {
    const std::int64_t count = round % 2 == 0 ? kCount : kFirst;
    communicator.all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                            {"round", round});
    for (std::int64_t i = 0; i < count; ++i) {
      expected[static_cast<std::size_t>(i)] *= static_cast<float>(ranks());
    }
  }
  ASSERT_EQ(on_host<float>(data, *stream_), expected);
}

TEST_F(Direct, IsReplayedByGraphsAmongOtherCalls) {
  DirectCommunicator& communicator = with(16 << 10);
  constexpr std::int64_t kSmall = 513;
  constexpr std::int64_t kLarge = 9001;  // two-shot, and more than one block
  constexpr int kRounds = 40;
  const auto ranks = static_cast<std::size_t>(this->ranks());
  const Buffer small = on_device(std::vector<std::int64_t>(kSmall, 1), *stream_);
  const Buffer large = on_device(std::vector<std::int32_t>(kLarge, 1), *stream_);
  const Buffer block = on_device(std::vector<std::int32_t>(kSmall, rank() + 1), *stream_);
  const Buffer all = on_device(std::vector<std::int32_t>(kSmall * ranks), *stream_);
  const Buffer sum = on_device(std::vector<std::int32_t>(kSmall), *stream_);
  const auto recording = device_->record(*stream_, "direct", [&] {
    communicator.all_reduce(small.data(), kSmall, DType::kI64, ReduceOperation::kSum, *stream_,
                            {"small"});
    communicator.all_gather(all.data(), block.data(), kSmall, DType::kI32, *stream_, {"gather"});
    communicator.reduce_scatter(sum.data(), all.data(), kSmall, DType::kI32, ReduceOperation::kSum,
                                *stream_, {"scatter"});
    communicator.all_reduce(large.data(), kLarge, DType::kI32, ReduceOperation::kMax, *stream_,
                            {"large"});
  });
  std::int64_t expected = 1;
  for (int round = 0; round < kRounds; ++round) {
    recording->replay(*stream_);
    expected *= this->ranks();
    if (round % 3 == 0) {
      communicator.all_reduce(small.data(), kSmall, DType::kI64, ReduceOperation::kMin, *stream_,
                              {"between"});
    }
    if (expected > (std::int64_t{1} << 50)) {
      const Buffer ones = on_device(std::vector<std::int64_t>(kSmall, 1), *stream_);
      device_->copy(*stream_, small.data(), ones.data(), ones.bytes());
      stream_->synchronize();
      expected = 1;
    }
  }
  EXPECT_EQ(on_host<std::int64_t>(small, *stream_), std::vector<std::int64_t>(kSmall, expected));
  EXPECT_EQ(on_host<std::int32_t>(large, *stream_), std::vector<std::int32_t>(kLarge, 1));
  EXPECT_EQ(on_host<std::int32_t>(sum, *stream_),
            std::vector<std::int32_t>(kSmall, (rank() + 1) * this->ranks()));
  if (ranks == 1) return;  // it has nothing to exchange
  for (const FlightCall& call : communicator.flight_record().snapshot()) {
    EXPECT_EQ(call.starts, call.finishes) << call.label;
    const bool once = call.label.starts_with("between");
    EXPECT_EQ(call.finishes, once ? 1 : kRounds) << call.label;
  }
}

TEST_F(Direct, RunsCallsOfStreamsThatRanksReachInDifferentOrder) {
  DirectCommunicator& communicator = with(kOneShot);
  const auto other = device_->create_stream("other");
  std::vector<Buffer> buffers;
  for (int i = 0; i < 12; ++i) {
    buffers.push_back(
        on_device(std::vector<float>(static_cast<std::size_t>(1 + i * 500), 1.0F), *stream_));
  }
  // Holds one of the streams back, on even ranks the one and on odd ranks the other.
  std::atomic<bool> open{false};
  Stream& held = rank() % 2 == 0 ? *stream_ : *other;
  held.call(
      [](void* gate) {
        while (!static_cast<std::atomic<bool>*>(gate)->load()) std::this_thread::yield();
      },
      &open);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    communicator.all_reduce(buffers[i].data(), buffers[i].bytes() / 4, DType::kF32,
                            ReduceOperation::kSum, i % 2 == 0 ? *stream_ : *other,
                            {"bucket", static_cast<int>(i)});
  }
  open.store(true);
  other->synchronize();
  for (const Buffer& buffer : buffers) {
    const auto values = on_host<float>(buffer, *stream_);
    ASSERT_EQ(values, std::vector<float>(values.size(), static_cast<float>(ranks())));
  }
}

TEST_F(Direct, RunsCallsThatEachRankPutsOnAnotherStream) {
  DirectCommunicator& communicator = with(kOneShot);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 3; ++i) streams.push_back(device_->create_stream("one of several"));
  const Buffer data = on_device(std::vector<std::int64_t>(700, 1), *stream_);
  std::mt19937 random(static_cast<unsigned>(rank()) + 7);
  std::int64_t expected = 1;
  for (int i = 0; i < 15; ++i, expected *= ranks()) {
    communicator.all_reduce(data.data(), 700, DType::kI64, ReduceOperation::kSum,
                            *streams[random() % 3], {"call", i});
  }
  for (const auto& stream : streams) stream->synchronize();
  ASSERT_EQ(on_host<std::int64_t>(data, *stream_), std::vector<std::int64_t>(700, expected));
}

TEST_F(Direct, HasLanesForSomeRecordingsAndSaysWhenTheyAreTaken) {
  if (ranks() == 1) GTEST_SKIP() << "a single rank exchanges nothing, however often";
  DirectCommunicator& communicator = with(kOneShot, 1 << 10);
  const Buffer data = on_device(std::vector<std::int64_t>(100, 1), *stream_);
  const CollectiveCall call{.kind = CollectiveKind::kAllReduce, .count = 100};
  std::vector<std::unique_ptr<Recording>> recordings;
  bool fits = true;
  while (fits && recordings.size() < 40) {
    recordings.push_back(device_->record(*stream_, "direct", [&] {
      fits = communicator.fit(call, *stream_) == Fit::kFits;
      if (fits) {
        communicator.all_reduce(data.data(), 100, DType::kI64, ReduceOperation::kSum, *stream_,
                                {"recorded"});
        return;
      }
      EXPECT_EQ(communicator.fit(call, *stream_), Fit::kTooManyRecordings);
      try {
        communicator.all_reduce(data.data(), 100, DType::kI64, ReduceOperation::kSum, *stream_,
                                {"one too many"});
        FAIL() << "it was recorded";
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("at most 31 recorded programs"), std::string::npos)
            << error.what();
      }
    }));
  }
  EXPECT_EQ(recordings.size(), 32U);  // the last of them without the call
  std::int64_t expected = 1;
  for (const auto& recording : recordings) {
    recording->replay(*stream_);
    if (recording != recordings.back()) expected *= ranks();
  }
  ASSERT_EQ(on_host<std::int64_t>(data, *stream_), std::vector<std::int64_t>(100, expected));
  EXPECT_EQ(communicator.fit(call, *stream_), Fit::kFits);  // what is not recorded
}

TEST_F(Direct, SaysThatACallOfSeveralLaunchesDoesNotFit) {
  DirectCommunicator& communicator = with(kOneShot, 1 << 10);
  CollectiveCall call{.kind = CollectiveKind::kAllReduce, .count = 256, .type = DType::kF32};
  EXPECT_EQ(communicator.fit(call, *stream_), Fit::kFits);
  if (ranks() == 1) return;
  call.count = 257;
  EXPECT_EQ(communicator.fit(call, *stream_), Fit::kTooLong);
  call.kind = CollectiveKind::kAllToAll;
  call.count = 256 / ranks() / 4 * 4;
  EXPECT_EQ(communicator.fit(call, *stream_), Fit::kFits);
  call.count += 4;
  EXPECT_EQ(communicator.fit(call, *stream_), Fit::kTooLong);
}

TEST_F(Direct, TakesTheMemoryThatAPlanCounts) {
  for (const std::int64_t staging : {std::int64_t{1} << 10, kDirectStaging}) {
    const std::int64_t before = device_->available_bytes();
    session->control().all_gather_bytes("");  // ranks may share a GPU
    const DirectCommunicator& communicator = with(kOneShot, staging);
    session->control().all_gather_bytes("");
    EXPECT_EQ(communicator.memory_bytes(), direct_memory_bytes(ranks(), staging));
    if (!test::shares_a_gpu(ranks())) {
      // Beside it lie the counters of flight stamps.
      const std::int64_t taken = before - device_->available_bytes();
      EXPECT_GE(taken, communicator.memory_bytes());
      EXPECT_LE(taken, communicator.memory_bytes() + (64 << 10));
    }
    session->control().all_gather_bytes("");
    communicator_.reset();
  }
}

/// The last rank never comes. The others' kernels spin for it, behind them wait another call and a
/// replayed recording; cancel() of a communicator empties the streams, also of its parts.
class DirectCancelled : public Direct {
 protected:
  void all_reduce(Communicator& communicator, Stream& stream, const char* what) {
    communicator.all_reduce(data_.data(), kCount, DType::kF32, ReduceOperation::kSum, stream,
                            {what});
  }
  /// Call and replay on a stream, and an event behind them.
  void run_into_the_gap(Communicator& communicator, Stream& stream) {
    recordings_.push_back(
        device_->record(stream, "direct", [&] { all_reduce(communicator, stream, "replayed"); }));
    if (rank() == ranks() - 1) return;
    all_reduce(communicator, stream, "hangs");
    all_reduce(communicator, stream, "behind it");
    recordings_.back()->replay(stream);
    events_.push_back(device_->create_event());
    stream.record(*events_.back());
  }
  static FlightCall call_of(const Communicator& communicator, const std::string& label) {
    for (const FlightCall& call : communicator.flight_record().snapshot()) {
      if (call.label == label) return call;
    }
    return {};
  }
  void check(Communicator& communicator) {
    if (rank() == ranks() - 1) return;
    while (call_of(communicator, "hangs").starts == 0) std::this_thread::yield();
    for (const auto& event : events_) EXPECT_FALSE(event->done());
    communicator_->cancel();
    for (const auto& event : events_) event->synchronize();
    EXPECT_EQ(call_of(communicator, "hangs").finishes, 0);
    for (const char* label : {"behind it", "replayed"}) {
      EXPECT_EQ(call_of(communicator, label).finishes, 0) << label;
    }
    try {
      stream_->synchronize();
      FAIL() << "the stream is as good as ever";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kTimeout);
    }
    EXPECT_THROW(all_reduce(communicator, *stream_, "later"), Error);
  }

  static constexpr std::int64_t kCount = 9001;  // several blocks
  const Buffer data_ = on_device(std::vector<float>(kCount, 1.0F), *stream_);
  std::vector<std::unique_ptr<Recording>> recordings_;
  std::vector<std::unique_ptr<Event>> events_;
};

TEST_F(DirectCancelled, EndsOneShotCallsWhosePeerNeverComes) {
  if (ranks() == 1) GTEST_SKIP() << "nobody to wait for";
  run_into_the_gap(with(kOneShot), *stream_);
  check(*communicator_);
  EXPECT_EQ(call_of(*communicator_, "hangs").failed, rank() < ranks() - 1);
}

TEST_F(DirectCancelled, EndsTwoShotCallsWhosePeerNeverComes) {
  if (ranks() == 1) GTEST_SKIP() << "nobody to wait for";
  run_into_the_gap(with(kTwoShot), *stream_);
  check(*communicator_);
  EXPECT_EQ(call_of(*communicator_, "hangs").failed, rank() < ranks() - 1);
}

TEST_F(DirectCancelled, EndsCallsOfParts) {
  if (ranks() == 1) GTEST_SKIP() << "nobody to wait for";
  const auto part = with(kOneShot).split(0, 0);
  run_into_the_gap(*part, *stream_);
  check(*part);
}

/// Of two ranks on either side of a machine whose GPUs reach each other on one side only.
TEST_F(Direct, SaysWhoCannotReachWhom) {
  if (std::getenv("INGOT_TEST_TWO_SIDES") == nullptr) GTEST_SKIP() << "GPUs reach each other";
  const DirectResult result = join(*device_, kOneShot);
  EXPECT_EQ(result.communicator, nullptr);
  EXPECT_TRUE(result.refusal.starts_with("rank 0 cannot reach the memory of rank 2's GPU ("))
      << result.refusal;
}

}  // namespace
}  // namespace ingot
