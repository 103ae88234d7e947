// What a hierarchical communicator asks of its parts: which of them carries how much, that a large
// call's parts overlap, and that errors of the network's stream are not lost. The parts are fakes
// that note their calls.
#include "collectives/algorithms/hierarchical.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "collectives/flight_report.hpp"
#include "ops/base/error.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {
namespace {

using ::testing::ElementsAre;

/// The calls of all parts in the order in which their streams reached them.
struct Notes {
  std::mutex mutex;
  std::vector<std::string> lines;
  std::vector<Stream*> streams;  ///< of each call, in the order in which they were enqueued
};

/// Exchanges nothing.
class Fake final : public Communicator {
 public:
  Fake(Notes& notes, std::string name, int rank, int size)
      : notes_(notes), name_(std::move(name)), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string transport() const override { return name_; }
  [[noreturn]] void abort(int exit_code) override { std::exit(exit_code); }

  std::int64_t bytes = 0;  ///< of all calls
  bool fails = false;

 private:
  std::unique_ptr<Communicator> create_split(int /*color*/, int /*key*/) override {
    return nullptr;
  }
  void enqueue(const CollectiveCall& call, Stream& stream) override {
    bytes += call.bytes();
    notes_.streams.push_back(&stream);
    stream.call(
        [](void* context) {
          auto* line = static_cast<Line*>(context);
          if (line->owner.fails) fail(ExitCode::kTimeout, "the network is gone");
          const std::scoped_lock lock(line->owner.notes_.mutex);
          line->owner.notes_.lines.push_back(line->text);
          line->flight->finish();
        },
        lines_
            .emplace_back(std::make_unique<Line>(
                Line{*this, fmt::format("{} {} {}", name_, name_of(call.kind), call.count),
                     call.flight}))
            .get());
  }

  struct Line {
    Fake& owner;
    std::string text;
    FlightEntry* flight;
  };
  Notes& notes_;
  std::string name_;
  int rank_;
  int size_;
  std::vector<std::unique_ptr<Line>> lines_;
};

class Hierarchical : public ::testing::Test {
 protected:
  /// Rank `place` of node 0.
  void make(std::vector<int> ranks, int place) {
    const Nodes nodes{.ranks = std::move(ranks)};
    int all = 0;
    for (const int count : nodes.ranks) all += count;
    auto inside = std::make_unique<Fake>(notes_, "inside", place, nodes.here());
    auto rail = std::make_unique<Fake>(notes_, "rail", 0, nodes.count());
    inside_ = inside.get();
    rail_ = rail.get();
    communicator_ =
        create_hierarchical_communicator({std::make_unique<Fake>(notes_, "all", place, all),
                                          std::move(inside), std::move(rail), nodes});
  }
  std::vector<std::string>& lines() {
    stream_->synchronize();
    return notes_.lines;
  }
  void all_reduce(std::int64_t count) {
    data_.resize(static_cast<std::size_t>(count));
    communicator_->all_reduce(data_.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                              {"test"});
  }

  Notes notes_;
  cpu::CpuDevice device_{1};
  std::unique_ptr<Stream> stream_ = device_.create_stream("caller");
  std::vector<float> data_;
  Fake* inside_ = nullptr;
  Fake* rail_ = nullptr;
  std::unique_ptr<Communicator> communicator_;
};

TEST_F(Hierarchical, CarriesEachPartOfANodesSumOnceOverTheNetwork) {
  make({4, 4}, 1);
  all_reduce(400002);
  EXPECT_THAT(lines(),
              ElementsAre("inside reduce_scatter 100000", "rail all_reduce 100000",
                          "inside all_gather 100000", "inside all_reduce 2", "rail all_reduce 2"));
  EXPECT_EQ(rail_->bytes, (100000 + 2) * 4);
}

TEST_F(Hierarchical, SparesSmallSumsAStep) {
  make({4, 4}, 1);
  all_reduce(1000);
  EXPECT_THAT(lines(), ElementsAre("inside all_reduce 1000", "rail all_reduce 1000"));
}

TEST_F(Hierarchical, WorksInTheNodeWhileTheNetworkHasAnotherPiece) {
  make({2, 2}, 0);
  all_reduce(10 << 20);  // ten pieces of 4 MiB
  stream_->synchronize();
  ASSERT_EQ(notes_.streams.size(), 30U);
  // The next piece is reduced in the node before the last one is waited for.
  EXPECT_EQ(notes_.streams[0], stream_.get());
  EXPECT_NE(notes_.streams[1], stream_.get());
  EXPECT_EQ(notes_.streams[2], stream_.get());
  EXPECT_NE(notes_.streams[3], stream_.get());
  EXPECT_EQ(rail_->bytes, 20 << 20);
}

TEST_F(Hierarchical, KeepsThePiecesInOrder) {
  make({2, 2}, 0);
  all_reduce((3 << 20) + 6);
  std::vector<std::string> inside;
  std::vector<std::string> rail;
  for (const std::string& line : lines()) {
    (line.starts_with("inside") ? inside : rail).push_back(line);
  }
  EXPECT_THAT(inside, ElementsAre("inside reduce_scatter 524288", "inside reduce_scatter 524288",
                                  "inside all_gather 524288", "inside reduce_scatter 524288",
                                  "inside all_gather 524288", "inside reduce_scatter 3",
                                  "inside all_gather 524288", "inside all_gather 3"));
  EXPECT_THAT(rail, ElementsAre("rail all_reduce 524288", "rail all_reduce 524288",
                                "rail all_reduce 524288", "rail all_reduce 3"));
}

TEST_F(Hierarchical, LetsLeadersSpeakForNodesOfUnequalSizes) {
  make({3, 2}, 0);
  all_reduce(500);
  communicator_->barrier(*stream_, {"test"});
  EXPECT_THAT(lines(),
              ElementsAre("inside all_reduce 500", "rail all_reduce 500", "inside broadcast 500",
                          "inside barrier 0", "rail barrier 0", "inside barrier 0"));
  make({3, 2}, 2);
  notes_.lines.clear();
  all_reduce(500);
  EXPECT_THAT(lines(), ElementsAre("inside all_reduce 500", "inside broadcast 500"));
}

TEST_F(Hierarchical, GivesTheCallersStreamAnErrorOfTheNetworks) {
  make({2, 2}, 0);
  rail_->fails = true;
  all_reduce(3 << 20);
  try {
    stream_->synchronize();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kTimeout);
    EXPECT_STREQ(error.what(), "the network is gone");
  }
}

TEST_F(Hierarchical, ShowsThatACallMovesAsLongAsItsPartsDo) {
  make({2, 2}, 1);
  data_.resize(4 << 10);
  communicator_->reduce_scatter(data_.data(), data_.data(), 1 << 10, DType::kF32,
                                ReduceOperation::kSum, *stream_, {"test"});
  communicator_->all_to_all(data_.data(), data_.data(), 1 << 8, DType::kF32, *stream_, {"test"});
  stream_->synchronize();
  const std::vector<FlightCall> calls = communicator_->flight_record().snapshot();
  ASSERT_EQ(calls.size(), 2U);
  for (const FlightCall& call : calls) EXPECT_GT(call.moved, 0) << describe(call);
}

TEST_F(Hierarchical, IsTheOnlyPartThatIsNeeded) {
  make({4}, 1);
  EXPECT_EQ(communicator_->transport(), "inside");
  make({1, 1, 1}, 0);
  EXPECT_EQ(communicator_->transport(), "all");
  make({2, 1}, 0);
  EXPECT_EQ(communicator_->transport(), "hierarchical");
}

}  // namespace
}  // namespace ingot
