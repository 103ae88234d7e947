#include "collectives/algorithms/by_size.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "collectives/flight_report.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {
namespace {

using Calls = std::vector<std::string>;
using Fit = DirectCommunicator::Fit;

/// Writes down what it is given, in the place of a transport of `size` ranks.
template <typename Base>
class Listener : public Base {
 public:
  Listener(std::string name, Calls& calls) : name_(std::move(name)), calls_(calls) {}
  int rank() const override { return 0; }
  int size() const override { return 4; }
  std::string transport() const override { return name_; }
  [[noreturn]] void abort(int /*exit_code*/) override { std::abort(); }

 protected:
  std::unique_ptr<Communicator> create_split(int /*color*/, int /*key*/) override {
    if constexpr (std::is_same_v<Base, Communicator>) {
      return std::make_unique<Listener>(name_, calls_);
    }
    return nullptr;
  }
  void enqueue(const CollectiveCall& call, Stream& /*stream*/) override {
    calls_.push_back(name_ + ": " + text_of(call.label));
    call.flight->start();
    call.flight->finish();
  }

  std::string name_;
  Calls& calls_;
};

class Small final : public Listener<DirectCommunicator> {
 public:
  Small(Calls& calls, Fit fit) : Listener("small", calls), fit_(fit) {}
  Fit fit(const CollectiveCall& /*call*/, Stream& /*stream*/) override { return fit_; }

 private:
  std::unique_ptr<Communicator> create_split(int /*color*/, int /*key*/) override {
    return std::make_unique<Small>(calls_, fit_);
  }
  Fit fit_;
};

class BySize : public ::testing::Test {
 protected:
  std::unique_ptr<Communicator> make(bool with_small, Fit fit = Fit::kFits) {
    BySizeOptions options;
    options.size = 4;
    options.limits = {.all_reduce = 400, .reduce_scatter = 800, .all_gather = 1600};
    options.large = [this] { return std::make_unique<Listener<Communicator>>("large", calls_); };
    options.small = [=, this]() -> std::unique_ptr<DirectCommunicator> {
      if (!with_small) return nullptr;
      return std::make_unique<Small>(calls_, fit);
    };
    options.note = [this](const std::string& text) { notes_.push_back(text); };
    return create_by_size_communicator(options);
  }

  Calls calls_;
  Calls notes_;
  cpu::CpuDevice device_{1};
  std::unique_ptr<Stream> stream_ = device_.create_stream("test");
  std::vector<float> data_ = std::vector<float>(1000);
};

TEST_F(BySize, LeavesCallsUpToTheLimitsToTheSmallOne) {
  const auto all = make(true);
  float* data = data_.data();
  constexpr ReduceOperation kSum = ReduceOperation::kSum;
  all->all_reduce(data, 100, DType::kF32, kSum, *stream_, {"reduce", 100});
  all->all_reduce(data, 101, DType::kF32, kSum, *stream_, {"reduce", 101});
  all->reduce_scatter(data, data, 50, DType::kF32, kSum, *stream_, {"scatter", 50});
  all->reduce_scatter(data, data, 51, DType::kF32, kSum, *stream_, {"scatter", 51});
  all->all_gather(data, data, 100, DType::kF32, *stream_, {"gather", 100});
  all->all_gather(data, data, 101, DType::kF32, *stream_, {"gather", 101});
  all->barrier(*stream_, {"barrier"});
  EXPECT_EQ(calls_, (Calls{"small: reduce 100", "large: reduce 101", "small: scatter 50",
                           "large: scatter 51", "small: gather 100", "large: gather 101",
                           "small: barrier"}));
}

TEST_F(BySize, LeavesEverythingToTheLargeOneWhereTheOtherIsMissingOrFull) {
  for (const Fit fit : {Fit::kFits, Fit::kTooLong, Fit::kTooManyRecordings}) {
    calls_.clear();
    const auto all = make(fit != Fit::kFits, fit);
    all->all_reduce(data_.data(), 1, DType::kF32, ReduceOperation::kSum, *stream_, {"one"});
    EXPECT_EQ(calls_, Calls{"large: one"});
  }
}

TEST_F(BySize, SaysOnceThatThereIsNoRoomForAnotherRecording) {
  for (const Fit fit : {Fit::kFits, Fit::kTooLong, Fit::kTooManyRecordings}) {
    notes_.clear();
    const auto all = make(true, fit);
    for (int i = 0; i < 2; ++i) {
      all->all_reduce(data_.data(), 1, DType::kF32, ReduceOperation::kSum, *stream_, {"call", i});
    }
    if (fit != Fit::kTooManyRecordings) {
      EXPECT_EQ(notes_, Calls{});
      continue;
    }
    EXPECT_EQ(notes_, Calls{"all_reduce of 1 f32 (sum), call 0 and other small calls go by large: "
                            "there is room for direct calls in 31 recorded programs"});
  }
}

TEST_F(BySize, SplitsBoth) {
  const auto part = make(true)->split(0, 0);
  part->all_reduce(data_.data(), 1, DType::kF32, ReduceOperation::kSum, *stream_, {"little"});
  part->all_reduce(data_.data(), 500, DType::kF32, ReduceOperation::kSum, *stream_, {"much"});
  EXPECT_EQ(calls_, (Calls{"small: little", "large: much"}));
}

TEST_F(BySize, RecordsCallsWhoeverMakesThem) {
  const auto all = make(true);
  all->all_reduce(data_.data(), 1, DType::kF32, ReduceOperation::kSum, *stream_, {"little"});
  all->all_reduce(data_.data(), 500, DType::kF32, ReduceOperation::kSum, *stream_, {"much"});
  const auto calls = all->flight_record().snapshot();
  ASSERT_EQ(calls.size(), 4U);  // after the starts of both
  for (const auto& call : calls) EXPECT_EQ(call.finishes, 1) << call.label;
}

}  // namespace
}  // namespace ingot
