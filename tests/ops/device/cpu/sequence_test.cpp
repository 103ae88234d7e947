#include "ops/device/cpu/sequence.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace ingot::cpu {
namespace {

constexpr std::chrono::nanoseconds kNoSpin{0};

TEST(Sequence, NeverGoesBack) {
  Sequence sequence;
  EXPECT_TRUE(sequence.reached(0));
  EXPECT_FALSE(sequence.reached(1));
  sequence.advance_to(5);
  sequence.advance_to(3);
  EXPECT_TRUE(sequence.reached(5));
  EXPECT_FALSE(sequence.reached(6));
}

TEST(Sequence, GoesOnWhereTheNumberWrapsAround) {
  Sequence sequence;
  constexpr std::uint32_t kQuarter = std::uint32_t{1} << 29;
  for (std::uint32_t step = 1; step <= 12; ++step) {
    EXPECT_FALSE(sequence.reached(step * kQuarter)) << step;
    sequence.advance_to(step * kQuarter);
    EXPECT_TRUE(sequence.reached(step * kQuarter)) << step;
  }
}

TEST(Sequence, WakesWaitersOfDifferentNumbers) {
  Sequence ping;
  Sequence pong;
  std::thread first([&] {
    for (std::uint32_t i = 1; i <= 2000; ++i) {
      ping.wait_for(i, kNoSpin);
      pong.advance_to(i);
    }
  });
  std::thread last([&] { ping.wait_for(2000, kNoSpin); });
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    ping.advance_to(i);
    pong.wait_for(i, i % 2 == 0 ? kNoSpin : std::chrono::nanoseconds{5000});
  }
  first.join();
  last.join();
  EXPECT_TRUE(pong.reached(2000));
}

TEST(Sequence, MayBeDestroyedByTheWaiterThatItWoke) {
  for (int i = 0; i < 300; ++i) {
    auto sequence = std::make_unique<Sequence>();
    std::thread other([raw = sequence.get()] { raw->advance_to(1); });
    sequence->wait_for(1, kNoSpin);
    sequence.reset();
    other.join();
  }
}

TEST(Sequence, GivesUpWaitingAfterTheGivenTime) {
  Sequence sequence;
  EXPECT_FALSE(sequence.wait_at_most(1, std::chrono::microseconds{100}));
  sequence.advance_to(1);
  EXPECT_TRUE(sequence.wait_at_most(1, std::chrono::seconds{100}));
}

TEST(SpinTime, IsZeroWhereThreadsOutnumberCores) {
  EXPECT_EQ(spin_time(1 << 20), kNoSpin);
  EXPECT_GT(spin_time(1), kNoSpin);
}

}  // namespace
}  // namespace ingot::cpu
