// Random sequences of collectives that overlap: on several streams, which every rank chooses for
// itself, of the whole job and of parts of it, of all kinds, types and sizes, in memory that is
// shared or not. All ranks draw the same program from one seed, which is printed; INGOT_TEST_SEED
// repeats it. INGOT_TEST_TRANSPORT and INGOT_TEST_NODES as in communicator_mpi_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "collectives/choose.hpp"
#include "collectives/element_types.hpp"
#include "tests/collectives/contributions.hpp"
#include "tests/collectives/mirror.hpp"

namespace ingot {
namespace {

using test::contribution;
using test::reduced;
using test::session;
using test::to_element;
using test::to_number;

constexpr std::int64_t kSharedBytes = 16 << 20;

/// A communicator and the ranks of the job that it has, by its own rank.
struct Part {
  std::unique_ptr<Communicator> communicator;
  std::vector<int> members;
};

/// One call of the program, with its memory on this rank.
class Call {
 public:
  Call(Part& part, int number, std::mt19937& random, std::byte*& shared, const std::byte* end,
       Device& device)
      : part_(part), number_(number) {
    const auto draw = [&](int least, int most) {
      return std::uniform_int_distribution<int>(least, most)(random);
    };
    kind_ = static_cast<CollectiveKind>(draw(0, 5));
    type_ = std::array{DType::kF32, DType::kBf16, DType::kF64, DType::kU8,
                       DType::kI64}[static_cast<std::size_t>(draw(0, 4))];
    operation_ = test::kOperations[static_cast<std::size_t>(draw(0, 2))];
    root_ = draw(0, ranks() - 1);
    in_place_ = draw(0, 1) == 0;
    // Of all magnitudes; a few large enough for several pieces.
    const bool all_reduce = kind_ == CollectiveKind::kAllReduce;
    const double magnitude = std::uniform_real_distribution<>(0, all_reduce ? 5.5 : 4)(random);
    count_ = draw(0, 9) == 0 ? 0 : static_cast<std::int64_t>(std::pow(10, magnitude));
    if (all_reduce && draw(0, 19) == 0) count_ = 1100003;
    const bool share = draw(0, 1) == 0;

    const std::int64_t all = count_ * ranks() * size_of(type_);
    const std::int64_t bytes = (all + 63) / 64 * 64;
    if (share && end - shared >= 2 * bytes) {
      to_ = shared;
      from_ = shared + bytes;
      shared += 2 * bytes;
    } else if (test::on_cuda()) {
      memory_ = device.allocate(2 * bytes + 1, "random call");
      to_ = static_cast<std::byte*>(memory_.data());
      from_ = to_ + bytes;
    } else {
      heap_.resize(static_cast<std::size_t>(2 * bytes + 1));
      to_ = heap_.data();
      from_ = heap_.data() + bytes;
    }
    if (test::on_cuda()) heap_.resize(static_cast<std::size_t>(2 * bytes + 1));
  }

  std::string description() const {
    return fmt::format("call {}: {} of {} {} among {} ranks, {}, root {}{}", number_,
                       name_of(kind_), count_, name_of(type_), ranks(), name_of(operation_), root_,
                       in_place_ ? ", in place" : "");
  }

  void enqueue(Stream& stream) {
    with_element_type(type_, [&]<typename T>() { enqueue_as<T>(stream); });
  }
  /// Brings to the host what the device has; the stream must be synchronized before looking.
  void download(Stream& stream) {
    const auto bytes = static_cast<std::int64_t>(heap_.size()) - 1;
    if (test::on_cuda()) stream.device().copy(stream, heap_.data(), to_, bytes);
  }
  void expect_results() {
    with_element_type(type_, [&]<typename T>() { expect_as<T>(); });
  }

 private:
  int ranks() const { return part_.communicator->size(); }
  int rank() const { return part_.communicator->rank(); }
  /// Element i of what a rank of the part puts in, unlike that of other calls.
  int input(int member, std::int64_t i) const {
    return contribution(part_.members[static_cast<std::size_t>(member)], i + 11 * number_);
  }

  /// Where the host sees what lies at an address of the call's memory.
  template <typename T>
  T* seen(T* data) {
    if (!test::on_cuda()) return data;
    return reinterpret_cast<T*>(heap_.data() + (reinterpret_cast<const std::byte*>(data) - to_));
  }

  template <typename T>
  void enqueue_as(Stream& stream) {
    Communicator& with = *part_.communicator;
    T* to = reinterpret_cast<T*>(to_);
    T* from = reinterpret_cast<T*>(from_);
    const CollectiveLabel label{"random call", number_};
    const auto fill = [&](T* data, std::int64_t count) {
      T* host = seen(data);
      for (std::int64_t i = 0; i < count; ++i) host[i] = to_element<T>(input(rank(), i));
      if (test::on_cuda()) stream.device().copy(stream, data, host, count * size_of(type_));
    };
    const std::int64_t first = rank() * count_;
    switch (kind_) {
      case CollectiveKind::kAllReduce:
        fill(to, count_);
        return with.all_reduce(to, count_, type_, operation_, stream, label);
      case CollectiveKind::kReduceScatter:
        fill(from, count_ * ranks());
        result_ = in_place_ ? from_ + first * size_of(type_) : to_;
        return with.reduce_scatter(result_, from, count_, type_, operation_, stream, label);
      case CollectiveKind::kAllGather:
        fill(in_place_ ? to + first : from, count_);
        return with.all_gather(to, in_place_ ? to + first : from, count_, type_, stream, label);
      case CollectiveKind::kAllToAll:
        fill(from, count_ * ranks());
        return with.all_to_all(to, from, count_, type_, stream, label);
      case CollectiveKind::kBroadcast:
        fill(to, count_);
        return with.broadcast(to, count_, type_, root_, stream, label);
      case CollectiveKind::kBarrier:
        return with.barrier(stream, label);
    }
  }

  template <typename T>
  void expect_as() {
    const auto expect = [&](std::byte* data, std::int64_t count, auto expected) {
      const T* actual = reinterpret_cast<const T*>(seen(data));
      for (std::int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(to_number(actual[i]), static_cast<double>(expected(i)))
            << description() << ", element " << i;
      }
    };
    const auto sum = [&](std::int64_t i) {
      return reduced(operation_, ranks(), i + 11 * number_,
                     [&](int r) { return part_.members[static_cast<std::size_t>(r)]; });
    };
    const std::int64_t first = rank() * count_;
    const auto block = [&](std::int64_t i) { return static_cast<int>(i / count_); };
    switch (kind_) {
      case CollectiveKind::kAllReduce:
        return expect(to_, count_, sum);
      case CollectiveKind::kReduceScatter:
        return expect(result_, count_, [&](std::int64_t i) { return sum(first + i); });
      case CollectiveKind::kAllGather:
        return expect(to_, count_ * ranks(),
                      [&](std::int64_t i) { return input(block(i), i % count_); });
      case CollectiveKind::kAllToAll:
        return expect(to_, count_ * ranks(),
                      [&](std::int64_t i) { return input(block(i), first + i % count_); });
      case CollectiveKind::kBroadcast:
        return expect(to_, count_, [&](std::int64_t i) { return input(root_, i); });
      case CollectiveKind::kBarrier:
        return;
    }
  }

  Part& part_;
  int number_;
  CollectiveKind kind_ = CollectiveKind::kBarrier;
  DType type_ = DType::kF32;
  ReduceOperation operation_ = ReduceOperation::kSum;
  int root_ = 0;
  bool in_place_ = false;
  std::int64_t count_ = 0;
  std::vector<std::byte> heap_;  ///< the call's memory, or what the host sees of it
  Buffer memory_;
  std::byte* to_ = nullptr;
  std::byte* from_ = nullptr;
  std::byte* result_ = nullptr;  ///< of a reduce_scatter
};

class RandomSequences : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* transport = std::getenv("INGOT_TEST_TRANSPORT");
    parts_.push_back({create_communicator(*session, device_,
                                          {.asked = transport == nullptr ? "auto" : transport}),
                      {}});
    Communicator& all = *parts_.front().communicator;
    const int rank = all.rank();
    parts_.push_back({all.split(rank % 2, 0), {}});           // odd and even ranks
    parts_.push_back({all.split(rank / 2, -rank), {}});       // pairs, turned around
    parts_.push_back({all.split(rank == 0 ? 0 : 1, 0), {}});  // all but one
    const auto colors = [](int of) { return std::array{0, of % 2, of / 2, of == 0 ? 0 : 1}; };
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      for (int other = 0; other < all.size(); ++other) {
        if (colors(other)[part] == colors(rank)[part]) parts_[part].members.push_back(other);
      }
      if (part == 2) std::ranges::reverse(parts_[part].members);
      parts_[part].communicator->share(shared_);
    }
    for (const auto& stream : streams_) {
      // No call makes room for itself: it would wait for calls whose peers it keeps waiting.
      for (const Part& part : parts_) part.communicator->reserve(*stream, 32 << 20);
    }
  }
  void TearDown() override {
    for (const Part& part : parts_) part.communicator->unshare(shared_);
  }

  void run(std::uint32_t seed) {
    std::mt19937 same(seed);  // on all ranks
    std::mt19937 own(seed + 1 + static_cast<unsigned>(session->rank()));
    std::vector<std::unique_ptr<Call>> calls;
    auto* shared = static_cast<std::byte*>(shared_.data());
    const std::byte* end = shared + shared_.bytes();
    for (int number = 0; number < 40; ++number) {
      // A seed per call: ranks in parts of unequal sizes take unequally many random numbers.
      const std::uint32_t call_seed = same();
      const auto part = call_seed % parts_.size();
      std::mt19937 of_call(call_seed);
      calls.push_back(std::make_unique<Call>(parts_[part], number, of_call, shared, end, device_));
      Stream& stream = *streams_[own() % streams_.size()];
      if (own() % 3 == 0) stream.call(dawdle, nullptr);
      calls.back()->enqueue(stream);
      if (own() % 4 == 0) {
        events_.push_back(device_.create_event());
        stream.record(*events_.back());
        streams_[own() % streams_.size()]->wait(*events_.back());
      }
    }
    for (const auto& stream : streams_) stream->synchronize();
    for (const auto& call : calls) call->download(*streams_.front());
    streams_.front()->synchronize();
    for (const auto& call : calls) {
      call->expect_results();
      if (HasFatalFailure()) return;
    }
  }

  static void dawdle(void* /*nothing*/) {
    for (int i = 0; i < 50; ++i) std::this_thread::yield();
  }

  std::unique_ptr<cpu::CpuDevice> owner_;
  Device& device_ = test::rank_device(owner_);
  std::vector<std::unique_ptr<Event>> events_;
  std::array<std::unique_ptr<Stream>, 3> streams_{
      device_.create_stream("a"), device_.create_stream("b"), device_.create_stream("c")};
  Buffer shared_ = device_.allocate(kSharedBytes, "shared");
  std::vector<Part> parts_;
};

TEST_F(RandomSequences, OfOverlappingCollectivesGiveEachItsResult) {
  const char* given = std::getenv("INGOT_TEST_SEED");
  const auto mine = given == nullptr ? std::random_device()()
                                     : static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10));
  const std::string seed = session->control().broadcast_bytes(std::to_string(mine), 0);
  const char* rounds = std::getenv("INGOT_TEST_ROUNDS");
  for (int round = 0; round < (rounds == nullptr ? 3 : std::atoi(rounds)); ++round) {
    const auto of_round =
        static_cast<std::uint32_t>(std::stoul(seed)) + static_cast<unsigned>(round);
    if (session->rank() == 0) std::printf("INGOT_TEST_SEED=%u\n", of_round);
    SCOPED_TRACE(fmt::format("INGOT_TEST_SEED={}", of_round));
    run(of_round);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace ingot
