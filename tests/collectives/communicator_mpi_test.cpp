// Every operation of a transport, on every element type and odd sizes, with buffers that ranks
// share and that they do not, against results computed from what each rank is known to contribute.
// Started by ctest under mpirun with 1 to 8 ranks; INGOT_TEST_TRANSPORT says which transport, and
// INGOT_TEST_NODES of how many nodes this machine shall pass for, INGOT_TEST_DEVICE whose memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "collectives/choose.hpp"
#include "collectives/flight_report.hpp"
#include "tests/collectives/contributions.hpp"
#include "tests/collectives/mirror.hpp"
#include "tests/count_allocations.hpp"

namespace ingot {
namespace {

using test::contribution;
using test::kOperations;
using test::Mirror;
using test::on_cuda;
using test::reduced;
using test::session;
using test::to_element;
using test::to_number;

std::string asked_transport() {
  const char* transport = std::getenv("INGOT_TEST_TRANSPORT");
  return transport == nullptr ? "auto" : transport;
}

constexpr std::int64_t kLargest = 65537;  ///< elements that are tried with every element type
constexpr std::int64_t kMost = 3500000;   ///< elements of all ranks together
constexpr std::int64_t kAround =
    3;  ///< elements before and after each operand, to stay as they are
constexpr int kUntouched = 77;

/// Memory for one operand with elements around it that must not change: its own, or from what the
/// communicator's ranks share.
template <typename T>
class Operand {
 public:
  Operand(Stream& stream, std::byte*& shared, std::int64_t count, bool share)
      : count_(count),
        memory_(stream, count + 2 * kAround, to_element<T>(kUntouched),
                share ? reinterpret_cast<T*>(shared) : nullptr) {
    if (share) shared += (count + 2 * kAround) * static_cast<std::int64_t>(sizeof(T));
  }
  T* data() { return memory_.data() + kAround; }

  /// Elements [first, first + count()) of what a rank contributes.
  void fill(int rank, std::int64_t first) {
    set([&](std::int64_t i) { return contribution(rank, first + i); });
  }
  template <typename F>
  void set(F value) {
    T* host = memory_.host().data() + kAround;
    for (std::int64_t i = 0; i < count_; ++i) host[i] = to_element<T>(value(i));
    memory_.upload();
  }
  template <typename F>
  void expect(F expected, const std::string& what) {
    memory_.download();
    const T* host = memory_.host().data() + kAround;
    for (std::int64_t i = -kAround; i < count_ + kAround; ++i) {
      const bool around = i < 0 || i >= count_;
      const double wanted = around ? kUntouched : static_cast<double>(expected(i));
      if (to_number(host[i]) == wanted) continue;
      FAIL() << what << ", element " << i << " of " << count_ << ": " << to_number(host[i])
             << " instead of " << wanted;
    }
  }

 private:
  std::int64_t count_;
  Mirror<T> memory_;
};

template <typename T>
class EveryElementType : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::int64_t largest = (kLargest + 2 * kAround) * 2 * (ranks() + 1);
    shared_ = device_.allocate(largest * static_cast<std::int64_t>(sizeof(double)), "shared");
    communicator_->share(shared_);
  }
  void TearDown() override { communicator_->unshare(shared_); }

  int rank() const { return communicator_->rank(); }
  int ranks() const { return communicator_->size(); }
  DType type() const { return dtype_of<T>(); }

  /// Calls test(count, name, operand) for each size with private and shared memory, where
  /// operand(n) makes one of n elements.
  template <typename F>
  void for_every_size(F test) {
    std::vector<std::int64_t> counts = {0, 1, 3, 1000, kLargest};
    // Direct collectives are for small messages: long ones, in several launches, with one type.
    const bool direct = asked_transport() == "direct";
    if (direct && !std::is_same_v<T, float>) counts.back() = 9001;
    // Many segments and columns of a ring, several pieces; with one element type, to stay quick.
    // What cuts calls on a GPU is not ours.
    if (std::is_same_v<T, float> && !on_cuda())
      counts.insert(counts.end(), {262144, 1500007, 3200003});
    for (const std::int64_t count : counts) {
      for (const bool share : {false, true}) {
        if (count > kLargest && share) continue;
        auto* next = static_cast<std::byte*>(shared_.data());
        const auto operand = [&](std::int64_t n) { return Operand<T>(*stream_, next, n, share); };
        test(count, share ? " (shared)" : "", operand);
        if (this->HasFatalFailure()) return;
      }
    }
  }

  std::unique_ptr<cpu::CpuDevice> owner_;
  Device& device_ = test::rank_device(owner_);
  std::unique_ptr<Stream> stream_ = device_.create_stream("collectives");
  Buffer shared_;
  std::unique_ptr<Communicator> communicator_ =
      create_communicator(*session, device_, {.asked = asked_transport()});
};

/// Whether the transport has reductions of this element type: NCCL has none of u16.
bool reduces(DType type) {
  return type != DType::kU16 || asked_transport() != "nccl";
}

using ElementTypes = ::testing::Types<float, Bf16, double, std::uint8_t, std::uint16_t,
                                      std::int32_t, std::uint32_t, std::int64_t>;
TYPED_TEST_SUITE(EveryElementType, ElementTypes);

TYPED_TEST(EveryElementType, AllReduce) {
  if (!reduces(this->type())) GTEST_SKIP() << "there is none of this type";
  this->for_every_size([&](std::int64_t count, const std::string& how, auto operand) {
    for (const ReduceOperation operation : kOperations) {
      auto data = operand(count);
      data.fill(this->rank(), 0);
      this->communicator_->all_reduce(data.data(), count, this->type(), operation, *this->stream_,
                                      {"all_reduce test"});
      this->stream_->synchronize();
      data.expect([&](std::int64_t i) { return reduced(operation, this->ranks(), i); },
                  "all_reduce" + how);
      if (count > kLargest) return;  // of the long ones the sum
    }
  });
}

TYPED_TEST(EveryElementType, ReduceScatter) {
  if (!reduces(this->type())) GTEST_SKIP() << "there is none of this type";
  this->for_every_size([&](std::int64_t count, const std::string& how, auto operand) {
    if (count * this->ranks() > kMost) return;
    const std::int64_t first = this->rank() * count;
    for (const ReduceOperation operation : kOperations) {
      auto from = operand(count * this->ranks());
      auto to = operand(count);
      from.fill(this->rank(), 0);
      this->communicator_->reduce_scatter(to.data(), from.data(), count, this->type(), operation,
                                          *this->stream_, {"reduce_scatter test"});
      this->stream_->synchronize();
      const auto sums = [&](std::int64_t i) {
        return reduced(operation, this->ranks(), first + i);
      };
      to.expect(sums, "reduce_scatter" + how);
      from.expect([&](std::int64_t i) { return contribution(this->rank(), i); },
                  "operand of reduce_scatter" + how);

      this->communicator_->reduce_scatter(from.data() + first, from.data(), count, this->type(),
                                          operation, *this->stream_, {"reduce_scatter in place"});
      this->stream_->synchronize();
      from.expect(
          [&](std::int64_t i) {
            const bool own = i >= first && i < first + count;
            return own ? sums(i - first) : contribution(this->rank(), i);
          },
          "reduce_scatter in place" + how);
      if (count > 1000) return;  // of the long ones the sum
    }
  });
}

TYPED_TEST(EveryElementType, AllGather) {
  this->for_every_size([&](std::int64_t count, const std::string& how, auto operand) {
    if (count * this->ranks() > kMost) return;
    const auto all = [&](std::int64_t i) {
      return contribution(static_cast<int>(i / count), i % count);
    };
    auto from = operand(count);
    auto to = operand(count * this->ranks());
    from.fill(this->rank(), 0);
    this->communicator_->all_gather(to.data(), from.data(), count, this->type(), *this->stream_,
                                    {"all_gather test"});
    this->stream_->synchronize();
    to.expect(all, "all_gather" + how);

    const std::int64_t first = this->rank() * count;
    TypeParam* own = to.data() + first;
    to.set([&](std::int64_t i) {
      const bool mine = i >= first && i < first + count;
      return mine ? contribution(this->rank(), i - first) : 0;
    });
    this->communicator_->all_gather(to.data(), own, count, this->type(), *this->stream_,
                                    {"all_gather in place"});
    this->stream_->synchronize();
    to.expect(all, "all_gather in place" + how);
  });
}

TYPED_TEST(EveryElementType, AllToAll) {
  this->for_every_size([&](std::int64_t count, const std::string& how, auto operand) {
    if (count * this->ranks() > kMost) return;
    auto from = operand(count * this->ranks());
    auto to = operand(count * this->ranks());
    from.fill(this->rank(), 0);
    this->communicator_->all_to_all(to.data(), from.data(), count, this->type(), *this->stream_,
                                    {"all_to_all test"});
    this->stream_->synchronize();
    const std::int64_t first = this->rank() * count;
    to.expect(
        [&](std::int64_t i) {
          return contribution(static_cast<int>(i / count), first + i % count);
        },
        "all_to_all" + how);
  });
}

TYPED_TEST(EveryElementType, BroadcastFromEveryRoot) {
  this->for_every_size([&](std::int64_t count, const std::string& how, auto operand) {
    // Of the long ones two roots, to stay quick.
    const int stride = count > 1000 ? std::max(1, this->ranks() - 1) : 1;
    for (int root = 0; root < this->ranks(); root += stride) {
      auto data = operand(count);
      data.fill(this->rank(), 0);
      this->communicator_->broadcast(data.data(), count, this->type(), root, *this->stream_,
                                     {"broadcast test"});
      this->stream_->synchronize();
      data.expect([&](std::int64_t i) { return contribution(root, i); }, "broadcast" + how);
    }
  });
}

using OneElementType = EveryElementType<float>;

class Transport : public OneElementType {};

TEST_F(Transport, GivesAllRanksTheSameBitsOfAnInexactSum) {
  for (const std::int64_t count : {7, 1000, 300001, 1200005}) {
    std::mt19937 random(static_cast<unsigned>(rank()) + 1);
    std::normal_distribution<float> normal;
    Mirror<float> data(*stream_, count, 0);
    for (float& value : data.host()) value = normal(random);
    data.upload();
    communicator_->all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                              {"bits test"});
    stream_->synchronize();
    data.download();
    const std::string bytes(reinterpret_cast<const char*>(data.host().data()),
                            data.host().size_bytes());
    for (const std::string& other : session->control().all_gather_bytes(bytes)) {
      ASSERT_TRUE(other == bytes) << "count " << count;
    }
  }
}

TEST_F(Transport, KeepsTheOrderOfItsStream) {
  constexpr std::int64_t count = 50000;
  Mirror<std::int64_t> data(*stream_, count, 1);
  Mirror<std::int64_t> between(*stream_, count, 0);
  for (int i = 0; i < 3; ++i) {
    communicator_->all_reduce(data.data(), count, DType::kI64, ReduceOperation::kSum, *stream_,
                              {"order test", i});
    if (i == 1) device_.copy(*stream_, between.data(), data.data(), count * 8);
  }
  stream_->synchronize();
  data.download();
  between.download();
  const std::int64_t ranks = this->ranks();
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(between.host()[i], ranks * ranks) << "after two, element " << i;
    ASSERT_EQ(data.host()[i], ranks * ranks * ranks) << "after three, element " << i;
  }
}

TEST_F(Transport, MakesRecordedCallsAtEachReplayAndKeepsAccountOfThem) {
  constexpr std::int64_t count = 5000;
  Mirror<std::int64_t> data(*stream_, count, 1);
  Mirror<std::int64_t> blocks(*stream_, count * ranks(), rank());
  Mirror<std::int64_t> swapped(*stream_, count * ranks(), -1);
  communicator_->reserve(*stream_, 2 * count * ranks() * 8);
  const auto recording = device_.record(*stream_, "collectives", [&] {
    communicator_->all_reduce(data.data(), count, DType::kI64, ReduceOperation::kSum, *stream_,
                              {"recorded", 0});
    communicator_->all_to_all(swapped.data(), blocks.data(), count, DType::kI64, *stream_,
                              {"recorded", 1});
    communicator_->barrier(*stream_, {"recorded", 2});
  });
  if (recording == nullptr) GTEST_SKIP() << "this device records nothing";
  for (int i = 0; i < 3; ++i) recording->replay(*stream_);
  stream_->synchronize();
  data.download();
  swapped.download();
  const std::int64_t ranks = this->ranks();
  for (std::int64_t i = 0; i < count * ranks; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (i < count) {
      ASSERT_EQ(data.host()[at], ranks * ranks * ranks) << "element " << i;
    }
    ASSERT_EQ(swapped.host()[at], i / count) << "element " << i;
  }
  if (ranks == 1) return;  // nothing is exchanged
  const std::vector<FlightCall> calls = communicator_->flight_record().snapshot();
  ASSERT_GE(calls.size(), 3U);
  for (std::size_t i = calls.size() - 3; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].starts, 3) << calls[i].label;
    EXPECT_EQ(calls[i].finishes, 3) << calls[i].label;
    EXPECT_LE(calls[i].started, calls[i].finished) << calls[i].label;
    EXPECT_NEAR(calls[i].finished, flight_clock(), 60) << calls[i].label;
  }
}

TEST_F(Transport, RunsCollectivesOfTwoStreamsThatRanksReachInDifferentOrder) {
  auto other = device_.create_stream("other");
  std::vector<Mirror<float>> buffers;
  for (int i = 0; i < 24; ++i) buffers.emplace_back(*stream_, 1 + i * 4001, 1.0F);
  // A call that has to make room waits for earlier ones, which wait for the other stream here.
  for (Stream* stream : {stream_.get(), other.get()}) {
    communicator_->reserve(*stream, static_cast<std::int64_t>(buffers.back().host().size_bytes()));
  }
  std::atomic<bool> open{false};
  // Holds one of the streams back, on even ranks the one and on odd ranks the other.
  Stream& held = rank() % 2 == 0 ? *stream_ : *other;
  held.call(
      [](void* gate) {
        while (!static_cast<std::atomic<bool>*>(gate)->load()) std::this_thread::yield();
      },
      &open);
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    communicator_->all_reduce(
        buffers[i].data(), static_cast<std::int64_t>(buffers[i].host().size()), DType::kF32,
        ReduceOperation::kSum, i % 2 == 0 ? *stream_ : *other, {"bucket", static_cast<int>(i)});
  }
  open.store(true);
  stream_->synchronize();
  other->synchronize();
  for (auto& buffer : buffers) {
    buffer.download();
    for (const float value : buffer.host()) ASSERT_EQ(value, static_cast<float>(ranks()));
  }
}

TEST_F(Transport, LetsNoRankOutOfABarrierThatAnotherHasNotEntered) {
  auto event = device_.create_event();
  for (int round = 0; round < 5; ++round) {
    for (int last = 0; last < ranks(); ++last) {
      // All ranks of one machine have the same steady clock; events of GPUs are a little off.
      double entered = 0;
      session->control().barrier();
      if (rank() == last) {
        stream_->record(*event);
        event->synchronize();
        entered = on_cuda() ? test::shared_clock() : event->seconds();
      }
      communicator_->barrier(*stream_, {"barrier test", round});
      stream_->record(*event);
      event->synchronize();
      const double left = on_cuda() ? test::shared_clock() : event->seconds();
      // What the last rank did before it entered is before what any rank did after it left.
      EXPECT_GE(left, session->control().sum(entered));
    }
  }
}

/// The ranks of a part: this rank's is checked by gathering and by summing over it.
void expect_part(Communicator& part, const std::vector<int>& members, int rank, Stream& stream) {
  ASSERT_EQ(part.size(), static_cast<int>(members.size()));
  EXPECT_EQ(members[static_cast<std::size_t>(part.rank())], rank);
  Mirror<std::int32_t> all(stream, part.size(), 0);
  Mirror<std::int32_t> mine(stream, 1, rank);
  part.all_gather(all.data(), mine.data(), 1, DType::kI32, stream, {"split test"});
  constexpr std::int64_t count = 70001;
  Mirror<float> data(stream, count, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    data.host()[static_cast<std::size_t>(i)] = static_cast<float>(contribution(rank, i));
  }
  data.upload();
  part.all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, stream, {"split test"});
  stream.synchronize();
  all.download();
  data.download();
  EXPECT_TRUE(std::ranges::equal(all.host(), members));
  for (std::int64_t i = 0; i < count; ++i) {
    const int sum = reduced(ReduceOperation::kSum, part.size(), i,
                            [&](int member) { return members[static_cast<std::size_t>(member)]; });
    ASSERT_EQ(data.host()[static_cast<std::size_t>(i)], static_cast<float>(sum)) << "element " << i;
  }
}

TEST_F(Transport, SplitsByColorAndOrdersByKey) {
  // Odd and even ranks, in descending order.
  auto half = communicator_->split(rank() % 2, -rank());
  std::vector<int> members;
  for (int other = ranks() - 1; other >= 0; --other) {
    if (other % 2 == rank() % 2) members.push_back(other);
  }
  expect_part(*half, members, rank(), *stream_);
  // The parent is used at the same time.
  Mirror<std::int32_t> sum(*stream_, 1, 1);
  communicator_->all_reduce(sum.data(), 1, DType::kI32, ReduceOperation::kSum, *stream_,
                            {"parent"});
  stream_->synchronize();
  sum.download();
  EXPECT_EQ(sum.host()[0], ranks());

  auto alone = half->split(half->rank(), 0);
  expect_part(*alone, {rank()}, rank(), *stream_);
}

TEST_F(Transport, SplitsIntoNodesAndRailsAndMixedOrders) {
  const Nodes& nodes = session->nodes();
  const int first = nodes.first_rank(nodes.index);
  std::vector<int> node;
  for (int i = 0; i < nodes.here(); ++i) node.push_back(first + i);
  auto inside = communicator_->split(nodes.index, 0);
  expect_part(*inside, node, rank(), *stream_);

  std::vector<int> rail;
  for (int other = 0; other < nodes.count(); ++other) {
    if (nodes.ranks[static_cast<std::size_t>(other)] > rank() - first) {
      rail.push_back(nodes.first_rank(other) + rank() - first);
    }
  }
  auto across = communicator_->split(rank() - first, 0);
  expect_part(*across, rail, rank(), *stream_);

  // All ranks, first the even ones: the nodes' ranks no longer follow one another.
  std::vector<int> mixed;
  for (const int parity : {0, 1}) {
    for (int other = parity; other < ranks(); other += 2) mixed.push_back(other);
  }
  auto shuffled = communicator_->split(0, rank() % 2 * ranks() + rank());
  expect_part(*shuffled, mixed, rank(), *stream_);

  // All but the last rank: nodes of unequal sizes.
  std::vector<int> most;
  for (int other = 0; other + 1 < ranks(); ++other) most.push_back(other);
  if (rank() + 1 == ranks()) most = {rank()};
  auto without_last = communicator_->split(rank() + 1 == ranks() ? 1 : 0, 0);
  expect_part(*without_last, most, rank(), *stream_);
}

TEST_F(Transport, AllocatesNothingInSteadyState) {
  if (on_cuda()) GTEST_SKIP() << "what CUDA's own libraries allocate is not ours";
  std::vector<float> data(1200000, 0.0F);
  const auto count = static_cast<std::int64_t>(data.size());
  const std::int64_t block = count / ranks() / 2;
  const auto bytes = static_cast<std::int64_t>(std::span(data).size_bytes());
  float* half = data.data() + block * ranks();
  communicator_->reserve(*stream_, bytes);
  const auto step = [&] {
    for (int i = 0; i < 5; ++i) {
      communicator_->all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                                {"bucket", i});
      communicator_->all_reduce(data.data(), 2, DType::kF32, ReduceOperation::kMax, *stream_,
                                {"small", i});
    }
    communicator_->reduce_scatter(half, data.data(), block, DType::kF32, ReduceOperation::kSum,
                                  *stream_, {"reduce_scatter"});
    communicator_->all_gather(data.data(), half, block, DType::kF32, *stream_, {"gather"});
    communicator_->all_to_all(half, data.data(), block, DType::kF32, *stream_, {"all_to_all"});
    communicator_->broadcast(data.data(), count, DType::kF32, 0, *stream_, {"broadcast"});
    communicator_->barrier(*stream_, {"barrier"});
    stream_->synchronize();
  };
  for (int i = 0; i < 3; ++i) step();
  const std::int64_t before = test::allocations.load();
  for (int i = 0; i < 3; ++i) step();
  EXPECT_EQ(test::allocations.load(), before);
}

TEST_F(Transport, IsTheOneThatWasAskedFor) {
  const NcclState nccl = on_cuda() ? find_nccl(*session, device_) : NcclState{};
  EXPECT_EQ(communicator_->transport(),
            choose_transport(asked_transport(), session->nodes(), device_.kind(), nccl));
  EXPECT_EQ(rank(), session->rank());
  EXPECT_EQ(ranks(), session->size());
}

}  // namespace
}  // namespace ingot
