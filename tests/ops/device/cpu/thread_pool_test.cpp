#include "ops/device/cpu/thread_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tests/ops/device/allocation_count.hpp"

namespace ingot::cpu {
namespace {

using Pieces = std::vector<std::pair<std::int64_t, std::int64_t>>;

Pieces pieces_of(ThreadPool& pool, std::int64_t count, std::int64_t grain) {
  Pieces pieces;
  std::mutex mutex;
  pool.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::scoped_lock lock(mutex);
    pieces.emplace_back(begin, end);
  });
  std::ranges::sort(pieces);
  return pieces;
}

TEST(ThreadPool, CoversTheRangeExactlyOnceInPiecesOfTheGrain) {
  for (const int threads : {1, 2, 3, 5, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 1000, 4097}) {
      for (const std::int64_t grain : {1, 2, 3, 64, 1000, 100000}) {
        Pieces expected;
        for (std::int64_t begin = 0; begin < count; begin += grain) {
          expected.emplace_back(begin, std::min(count, begin + grain));
        }
        ASSERT_EQ(pieces_of(pool, count, grain), expected)
            << threads << " threads, count " << count << ", grain " << grain;
      }
    }
  }
}

TEST(ThreadPool, RunsPiecesOnSeveralThreadsAtOnce) {
  ThreadPool pool(3);
  // Each piece waits for the others: this ends only if three threads take part.
  std::atomic<int> inside{0};
  pool.parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
    inside.fetch_add(1);
    while (inside.load() < 3) std::this_thread::yield();
  });
  EXPECT_EQ(inside.load(), 3);
}

TEST(ThreadPool, GivesEveryResultOfManyShortJobsToTheCaller) {
  ThreadPool pool(4);
  std::vector<std::int64_t> values(64, 0);
  for (std::int64_t job = 1; job <= 5000; ++job) {
    pool.parallel_for(64, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) values[static_cast<std::size_t>(i)] += 1;
    });
    ASSERT_TRUE(std::ranges::all_of(values, [&](std::int64_t v) { return v == job; })) << job;
  }
}

TEST(ThreadPool, ServesCallersOnSeveralThreads) {
  ThreadPool pool(3);
  std::vector<std::int64_t> sums(4, 0);
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < sums.size(); ++caller) {
    callers.emplace_back([&, caller] {
      for (int job = 0; job < 300; ++job) {
        std::atomic<std::int64_t> sum{0};
        pool.parallel_for(100, 9, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) sum += i;
        });
        sums[caller] += sum.load();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::int64_t sum : sums) EXPECT_EQ(sum, 300 * 4950);
}

TEST(ThreadPool, ThrowsTheExceptionOfAPieceAndGoesOn) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    const auto throwing = [](std::int64_t begin, std::int64_t) {
      if (begin == 30) throw std::runtime_error("piece 30");
    };
    EXPECT_THROW(pool.parallel_for(100, 10, throwing), std::runtime_error);
    EXPECT_EQ(pieces_of(pool, 100, 10).size(), 10U);
  }
}

TEST(ThreadPool, AllocatesNothing) {
  ThreadPool pool(3);
  std::atomic<std::int64_t> sum{0};
  const auto job = [&] {
    pool.parallel_for(1000, 10, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
  };
  job();
  const std::int64_t before = testing::allocation_count();
  for (int i = 0; i < 200; ++i) job();
  EXPECT_EQ(testing::allocation_count(), before);
  EXPECT_EQ(sum.load(), 201000);
}

}  // namespace
}  // namespace ingot::cpu
