// Vector clocks, and the reports that they lead to.
#include <gtest/gtest.h>

#include <cstdlib>

#include "check/stream_order.hpp"
#include "machine/machine.hpp"

namespace gpusim {
namespace {

// Problems are counted here; they must not decide the status of this program.
const int kContinue = setenv("GPUSIM_ON_PROBLEM", "continue", 1);

TEST(Clock, JoinsToTheLaterOfBoth) {
  Clock a, b;
  a.set(1, 5);
  a.set(3, 1);
  b.set(1, 4);
  b.set(2, 7);
  a.join(b);
  EXPECT_EQ(a.count(1), 5U);
  EXPECT_EQ(a.count(2), 7U);
  EXPECT_EQ(a.count(3), 1U);
  EXPECT_TRUE(a.covers(2, 7));
  EXPECT_FALSE(a.covers(2, 8));
  EXPECT_EQ(a.count(9), 0U);
}

/// Two streams; work is checked in the order in which it is made here.
class TwoStreams : public testing::Test {
 protected:
  std::shared_ptr<const OrderedWork> work(int stream, const Clock& behind = {}) {
    auto result = std::make_shared<OrderedWork>();
    Clock& clock = clocks_[stream];
    clock.join(behind);
    clock.set(timelines_[stream], ++counts_[stream]);
    result->timeline = timelines_[stream];
    result->count = counts_[stream];
    result->clock = clock;
    result->name = "work " + std::to_string(++made_);
    result->stream = "stream " + std::to_string(stream);
    return result;
  }
  static AccessSet reads(std::uint64_t address, std::uint64_t bytes) {
    AccessSet set;
    set.read(address, bytes);
    return set;
  }
  static AccessSet writes(std::uint64_t address, std::uint64_t bytes) {
    AccessSet set;
    set.write(address, bytes);
    return set;
  }
  /// Problems that this check adds.
  std::uint64_t problems(const std::shared_ptr<const OrderedWork>& item, const AccessSet& set) {
    const std::uint64_t before = problems_reported();
    order_.check(item, set);
    return problems_reported() - before;
  }
  void TearDown() override { order_.forget(kBase, 1 << 20); }

  static constexpr std::uint64_t kBase = 0x200000000000;
  StreamOrder& order_ = StreamOrder::instance();
  std::uint32_t timelines_[2] = {order_.new_timeline(), order_.new_timeline()};
  Clock clocks_[2];
  std::uint64_t counts_[2] = {0, 0};
  int made_ = 0;
};

TEST_F(TwoStreams, WritesToTheSameBytesWithoutOrderAreReported) {
  EXPECT_EQ(problems(work(0), writes(kBase, 4096)), 0U);
  EXPECT_EQ(problems(work(1), writes(kBase + 4000, 64)), 1U);
}

TEST_F(TwoStreams, AReadBesideAWriteIsReportedBothWays) {
  EXPECT_EQ(problems(work(0), reads(kBase, 64)), 0U);
  EXPECT_EQ(problems(work(1), writes(kBase, 64)), 1U);
  EXPECT_EQ(problems(work(0), reads(kBase, 64)), 1U);
}

TEST_F(TwoStreams, ReadsTogetherAndDisjointWritesAreFine) {
  EXPECT_EQ(problems(work(0), reads(kBase, 4096)), 0U);
  EXPECT_EQ(problems(work(1), reads(kBase, 4096)), 0U);
  EXPECT_EQ(problems(work(0), writes(kBase + 8192, 4)), 0U);
  EXPECT_EQ(problems(work(1), writes(kBase + 8192 + 4, 4)), 0U);
}

TEST_F(TwoStreams, AnEventOrders) {
  const auto first = work(0);
  EXPECT_EQ(problems(first, writes(kBase, 4096)), 0U);
  EXPECT_EQ(problems(work(1, first->clock), writes(kBase, 4096)), 0U);
  // But only what came before it.
  EXPECT_EQ(problems(work(0), writes(kBase, 4096)), 1U);
}

TEST_F(TwoStreams, AnOlderWriteIsFoundBehindALaterReadOfTheSameStream) {
  EXPECT_EQ(problems(work(0), writes(kBase, 64)), 0U);
  EXPECT_EQ(problems(work(0), reads(kBase, 64)), 0U);
  EXPECT_EQ(problems(work(1), reads(kBase, 64)), 1U);
}

TEST_F(TwoStreams, FreedMemoryIsForgotten) {
  EXPECT_EQ(problems(work(0), writes(kBase, 64)), 0U);
  order_.forget(kBase, 64);
  EXPECT_EQ(problems(work(1), writes(kBase, 64)), 0U);
}

}  // namespace
}  // namespace gpusim
