#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ops/device/cpu/cpu_device.hpp"
#include "tests/ops/device/allocation_count.hpp"

namespace ingot::cpu {
namespace {

/// A gate that holds a stream until the test opens it.
struct Gate {
  std::atomic<bool> open{false};
  static void pass(void* self) {
    while (!static_cast<Gate*>(self)->open.load()) std::this_thread::yield();
  }
};

struct Append {
  std::vector<int>* list = nullptr;
  int value = 0;
  static void run(void* self) {
    auto* append = static_cast<Append*>(self);
    append->list->push_back(append->value);
  }
};

void throw_error(void*) {
  throw std::runtime_error("broken kernel");
}
void do_nothing(void*) {}

TEST(CpuStream, RunsWorkInOrderEvenPastTheEndOfItsRing) {
  CpuDevice device(1);
  auto stream = device.create_stream("order");
  std::vector<int> list;
  std::vector<Append> work;
  for (int i = 0; i < 20000; ++i) work.push_back({&list, i});
  for (Append& append : work) stream->call(Append::run, &append);
  stream->synchronize();
  ASSERT_EQ(list.size(), work.size());
  for (std::size_t i = 0; i < list.size(); ++i) ASSERT_EQ(list[i], static_cast<int>(i));
}

/// Work that may be done by an attempt: notes which thread came to it.
struct Tried {
  bool succeeds = true;
  std::thread::id attempted = {};
  std::thread::id finished = {};
  static bool attempt(void* self) {
    auto* tried = static_cast<Tried*>(self);
    tried->attempted = std::this_thread::get_id();
    return tried->succeeds;
  }
  static void finish(void* self) {
    static_cast<Tried*>(self)->finished = std::this_thread::get_id();
  }
};

TEST(CpuStream, AttemptsWorkInTheCallerWhereItIsIdle) {
  CpuDevice device(1);
  auto stream = device.create_stream("idle");
  Tried done;
  Tried undone{.succeeds = false};
  stream->try_call(Tried::attempt, Tried::finish, &done);
  EXPECT_EQ(done.attempted, std::this_thread::get_id());
  stream->try_call(Tried::attempt, Tried::finish, &undone);
  stream->synchronize();
  EXPECT_EQ(done.finished, std::thread::id()) << "work that was done is done again";
  EXPECT_EQ(undone.attempted, std::this_thread::get_id());
  EXPECT_NE(undone.finished, std::thread::id());
  EXPECT_NE(undone.finished, std::this_thread::get_id());
}

TEST(CpuStream, AttemptsNothingBeforeItsEarlierWorkIsDone) {
  CpuDevice device(1);
  auto stream = device.create_stream("busy");
  Gate gate;
  Tried tried;
  stream->call(Gate::pass, &gate);
  stream->try_call(Tried::attempt, Tried::finish, &tried);
  gate.open.store(true);
  stream->synchronize();
  EXPECT_EQ(tried.attempted, std::thread::id());
  EXPECT_NE(tried.finished, std::thread::id());
}

TEST(CpuStream, KeepsTheErrorOfAnAttempt) {
  CpuDevice device(1);
  auto stream = device.create_stream("failing");
  Tried later;
  stream->try_call([](void*) -> bool { throw std::runtime_error("broken attempt"); }, do_nothing,
                   nullptr);
  stream->try_call(Tried::attempt, Tried::finish, &later);
  EXPECT_THROW(stream->synchronize(), std::runtime_error);
  EXPECT_EQ(later.attempted, std::thread::id());
  EXPECT_EQ(later.finished, std::thread::id());
}

TEST(CpuStream, IsAsynchronousToTheCaller) {
  CpuDevice device(1);
  auto stream = device.create_stream("held");
  auto event = device.create_event();
  EXPECT_TRUE(event->done()) << "an event that was never recorded";
  Gate gate;
  stream->call(Gate::pass, &gate);
  stream->record(*event);
  EXPECT_FALSE(event->done());
  gate.open.store(true);
  event->synchronize();
  EXPECT_TRUE(event->done());
  stream->synchronize();
}

TEST(CpuStream, OrdersTwoStreamsByAnEvent) {
  CpuDevice device(1);
  auto first = device.create_stream("first");
  auto second = device.create_stream("second");
  auto event = device.create_event();
  std::vector<int> list;
  Append one{&list, 1};
  Append two{&list, 2};
  Gate gate;
  first->call(Gate::pass, &gate);
  first->call(Append::run, &one);
  first->record(*event);
  second->wait(*event);
  second->call(Append::run, &two);
  gate.open.store(true);
  second->synchronize();
  EXPECT_EQ(list, (std::vector<int>{1, 2}));
}

TEST(CpuStream, WaitsForTheRecordThatWasLastWhenItWasCalled) {
  CpuDevice device(1);
  auto recorder = device.create_stream("recorder");
  auto waiter = device.create_stream("waiter");
  auto event = device.create_event();
  Gate first;
  Gate second;
  recorder->call(Gate::pass, &first);
  recorder->record(*event);
  waiter->wait(*event);
  recorder->call(Gate::pass, &second);
  recorder->record(*event);
  first.open.store(true);
  // Returns although the second record is still held back.
  waiter->synchronize();
  EXPECT_FALSE(event->done());
  second.open.store(true);
  recorder->synchronize();
  EXPECT_TRUE(event->done());
}

TEST(CpuStream, StampsEventsWithGrowingTimes) {
  CpuDevice device(1);
  auto stream = device.create_stream("times");
  auto before = device.create_event();
  auto after = device.create_event();
  Gate gate;
  stream->call(Gate::pass, &gate);
  stream->record(*before);
  stream->call(do_nothing, nullptr);
  stream->record(*after);
  gate.open.store(true);
  after->synchronize();
  EXPECT_GT(before->seconds(), 0);
  EXPECT_GE(after->seconds(), before->seconds());
}

TEST(CpuStream, DropsWorkAfterAnErrorButReachesItsEvents) {
  CpuDevice device(1);
  auto broken = device.create_stream("broken");
  auto other = device.create_stream("other");
  auto event = device.create_event();
  std::vector<int> list;
  Append one{&list, 1};
  Append two{&list, 2};
  Append three{&list, 3};
  Gate gate;
  broken->call(Gate::pass, &gate);
  broken->call(Append::run, &one);
  broken->call(throw_error, nullptr);
  broken->call(Append::run, &two);
  broken->record(*event);
  other->wait(*event);
  other->call(Append::run, &three);
  gate.open.store(true);
  other->synchronize();
  EXPECT_THROW(broken->synchronize(), std::runtime_error);
  EXPECT_THROW(broken->synchronize(), std::runtime_error) << "the error stays";
  EXPECT_EQ(list, (std::vector<int>{1, 3}));
}

TEST(CpuStream, FinishesItsWorkBeforeItIsDestroyed) {
  CpuDevice device(1);
  std::vector<int> list;
  Append one{&list, 1};
  auto stream = device.create_stream("short");
  stream->call(Append::run, &one);
  stream.reset();
  EXPECT_EQ(list.size(), 1U);
}

TEST(CpuStream, AllocatesNothingInSteadyState) {
  CpuDevice device(2);
  auto first = device.create_stream("first");
  auto second = device.create_stream("second");
  auto event = device.create_event();
  std::array<char, 4096> from{};
  std::array<char, 4096> to{};
  const auto step = [&] {
    for (int i = 0; i < 100; ++i) {
      first->call(do_nothing, nullptr);
      device.copy(*first, to.data(), from.data(), 4096);
      first->record(*event);
      second->wait(*event);
      second->call(do_nothing, nullptr);
    }
    first->synchronize();
    second->synchronize();
  };
  step();
  const std::int64_t before = testing::allocation_count();
  for (int i = 0; i < 20; ++i) step();
  EXPECT_EQ(testing::allocation_count(), before);
}

/// One cell of a random program: reads some cells, mixes them, and writes its own.
struct Mix {
  std::vector<std::uint64_t>* cells = nullptr;
  std::size_t to = 0;
  std::size_t from = 0;
  std::uint64_t constant = 0;
  static void run(void* self) {
    const auto& mix = *static_cast<Mix*>(self);
    auto& cells = *mix.cells;
    cells[mix.to] = (cells[mix.to] * 6364136223846793005U) ^ (cells[mix.from] + mix.constant);
  }
};

TEST(CpuStream, RandomProgramsGiveWhatTheirSequentialOrderGives) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
  CpuDevice device(1);
  constexpr std::size_t kStreams = 4;
  for (int program = 0; program < 40; ++program) {
    std::vector<std::unique_ptr<Stream>> streams;
    for (std::size_t s = 0; s < kStreams; ++s) streams.push_back(device.create_stream("random"));
    // Each stream owns one cell. It may read another stream's only where an event says so, and the
    // owner then waits for the reader before it writes again.
    std::vector<std::uint64_t> cells(kStreams, 1);
    std::vector<std::uint64_t> expected(kStreams, 1);
    std::deque<Mix> work;
    std::deque<std::unique_ptr<Event>> events;
    const auto order = [&](Stream& before, Stream& after) {
      events.push_back(device.create_event());
      before.record(*events.back());
      after.wait(*events.back());
    };
    for (int instruction = 0; instruction < 300; ++instruction) {
      const std::size_t to = below(kStreams);
      const std::size_t from = below(3) == 0 ? below(kStreams) : to;
      if (from != to) order(*streams[from], *streams[to]);
      Mix mix{&expected, to, from, random()};
      Mix::run(&mix);
      mix.cells = &cells;
      work.push_back(mix);
      streams[to]->call(Mix::run, &work.back());
      if (from != to) order(*streams[to], *streams[from]);
      if (below(50) == 0) streams[below(kStreams)]->synchronize();
    }
    for (auto& stream : streams) stream->synchronize();
    ASSERT_EQ(cells, expected) << "program " << program;
  }
}

}  // namespace
}  // namespace ingot::cpu
