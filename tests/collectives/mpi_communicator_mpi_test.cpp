// Every operation of the MPI communicator, on every element type and odd sizes, against results
// computed from what each rank is known to contribute. Inputs are small integers, so that sums are
// exact in any order. Started by ctest under mpirun with 1 to 8 ranks.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "tests/far_device.hpp"

namespace {

std::atomic<std::int64_t> allocations{0};

}  // namespace

// Not inlined, or the compiler sees malloc meet operator delete and warns.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ingot {
namespace {

MpiSession* session = nullptr;  // made by main, since MPI lives once in a process

/// Element i of what a rank contributes: at most 7, so that the sum over 8 ranks fits bf16 and u8.
int contribution(int rank, std::int64_t i) {
  return static_cast<int>((i * 5 + rank * 3 + 1) % 8);
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

/// Elements [first, first + count) of what a rank contributes.
template <typename T>
std::vector<T> contributions(int rank, std::int64_t first, std::int64_t count) {
  std::vector<T> result(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    result[static_cast<std::size_t>(i)] = to_element<T>(contribution(rank, first + i));
  }
  return result;
}

template <typename T, typename F>
void expect_elements(const std::vector<T>& actual, F expected, const std::string& what) {
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double wanted = static_cast<double>(expected(static_cast<std::int64_t>(i)));
    if (to_number(actual[i]) == wanted) continue;
    FAIL() << what << ", element " << i << " of " << actual.size() << ": " << to_number(actual[i])
           << " instead of " << wanted;
  }
}

constexpr ReduceOperation kOperations[] = {ReduceOperation::kSum, ReduceOperation::kMin,
                                           ReduceOperation::kMax};

template <typename T>
class EveryElementType : public ::testing::Test {
 protected:
  static std::vector<std::int64_t> counts() {
    std::vector<std::int64_t> counts = {0, 1, 3, 1000, 65537};
    // Several segments and columns of the ring; with one element type, to stay quick.
    if (std::is_same_v<T, float>) counts.insert(counts.end(), {262144, 1500007});
    return counts;
  }
  int rank() const { return communicator_->rank(); }
  int ranks() const { return communicator_->size(); }

  std::unique_ptr<cpu::CpuDevice> owner_ = test::make_cpu_device(1, session->local_size());
  Device& device_ = *owner_;
  std::unique_ptr<Stream> stream_ = device_.create_stream("collectives");
  std::unique_ptr<Communicator> communicator_ = create_mpi_communicator(*session);
};

using ElementTypes = ::testing::Types<float, Bf16, double, std::uint8_t, std::uint16_t,
                                      std::int32_t, std::uint32_t, std::int64_t>;
TYPED_TEST_SUITE(EveryElementType, ElementTypes);

TYPED_TEST(EveryElementType, AllReduce) {
  for (const std::int64_t count : this->counts()) {
    for (const ReduceOperation operation : kOperations) {
      auto data = contributions<TypeParam>(this->rank(), 0, count);
      this->communicator_->all_reduce(data.data(), count, dtype_of<TypeParam>(), operation,
                                      *this->stream_, {"all_reduce test"});
      this->stream_->synchronize();
      expect_elements(
          data, [&](std::int64_t i) { return reduced(operation, this->ranks(), i); }, "all_reduce");
    }
  }
}

TYPED_TEST(EveryElementType, ReduceScatter) {
  for (const std::int64_t count : this->counts()) {
    for (const ReduceOperation operation : kOperations) {
      const auto from = contributions<TypeParam>(this->rank(), 0, count * this->ranks());
      std::vector<TypeParam> to(static_cast<std::size_t>(count));
      this->communicator_->reduce_scatter(to.data(), from.data(), count, dtype_of<TypeParam>(),
                                          operation, *this->stream_, {"reduce_scatter test"});
      this->stream_->synchronize();
      const std::int64_t first = this->rank() * count;
      expect_elements(
          to, [&](std::int64_t i) { return reduced(operation, this->ranks(), first + i); },
          "reduce_scatter");
    }
  }
}

TYPED_TEST(EveryElementType, AllGather) {
  for (const std::int64_t count : this->counts()) {
    const auto from = contributions<TypeParam>(this->rank(), 0, count);
    std::vector<TypeParam> to(static_cast<std::size_t>(count * this->ranks()));
    this->communicator_->all_gather(to.data(), from.data(), count, dtype_of<TypeParam>(),
                                    *this->stream_, {"all_gather test"});
    this->stream_->synchronize();
    expect_elements(
        to, [&](std::int64_t i) { return contribution(static_cast<int>(i / count), i % count); },
        "all_gather");
  }
}

TYPED_TEST(EveryElementType, AllGatherInPlace) {
  constexpr std::int64_t kCount = 1000;
  std::vector<TypeParam> to(static_cast<std::size_t>(kCount * this->ranks()));
  TypeParam* mine = to.data() + this->rank() * kCount;
  std::ranges::copy(contributions<TypeParam>(this->rank(), 0, kCount), mine);
  this->communicator_->all_gather(to.data(), mine, kCount, dtype_of<TypeParam>(), *this->stream_,
                                  {"all_gather test"});
  this->stream_->synchronize();
  expect_elements(
      to, [&](std::int64_t i) { return contribution(static_cast<int>(i / kCount), i % kCount); },
      "all_gather in place");
}

TYPED_TEST(EveryElementType, AllToAll) {
  for (const std::int64_t count : this->counts()) {
    const auto from = contributions<TypeParam>(this->rank(), 0, count * this->ranks());
    std::vector<TypeParam> to(from.size());
    this->communicator_->all_to_all(to.data(), from.data(), count, dtype_of<TypeParam>(),
                                    *this->stream_, {"all_to_all test"});
    this->stream_->synchronize();
    const std::int64_t first = this->rank() * count;
    expect_elements(
        to,
        [&](std::int64_t i) {
          return contribution(static_cast<int>(i / count), first + i % count);
        },
        "all_to_all");
  }
}

TYPED_TEST(EveryElementType, BroadcastFromEveryRoot) {
  for (const std::int64_t count : this->counts()) {
    // Of the long ones two roots, to stay quick.
    const int stride = count > 1000 ? std::max(1, this->ranks() - 1) : 1;
    for (int root = 0; root < this->ranks(); root += stride) {
      auto data = contributions<TypeParam>(this->rank(), 0, count);
      this->communicator_->broadcast(data.data(), count, dtype_of<TypeParam>(), root,
                                     *this->stream_, {"broadcast test"});
      this->stream_->synchronize();
      expect_elements(
          data, [&](std::int64_t i) { return contribution(root, i); }, "broadcast");
    }
  }
}

using MpiCommunicator = EveryElementType<float>;

TEST_F(MpiCommunicator, GivesAllRanksTheSameBitsOfAnInexactSum) {
  for (const std::int64_t count : {7, 1000, 300001}) {
    std::mt19937 random(static_cast<unsigned>(rank()) + 1);
    std::normal_distribution<float> normal;
    std::vector<float> data(static_cast<std::size_t>(count));
    for (float& value : data) value = normal(random);
    communicator_->all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                              {"bits test"});
    stream_->synchronize();
    const std::string bytes(reinterpret_cast<const char*>(data.data()), data.size() * 4);
    for (const std::string& other : session->control().all_gather_bytes(bytes)) {
      ASSERT_TRUE(other == bytes) << "count " << count;
    }
  }
}

TEST_F(MpiCommunicator, KeepsTheOrderOfItsStream) {
  std::vector<std::int64_t> data(50000, 1);
  const auto count = static_cast<std::int64_t>(data.size());
  std::vector<std::int64_t> between(data.size());
  for (int i = 0; i < 3; ++i) {
    communicator_->all_reduce(data.data(), count, DType::kI64, ReduceOperation::kSum, *stream_,
                              {"order test", i});
    if (i == 1) device_.copy(*stream_, between.data(), data.data(), count * 8);
  }
  stream_->synchronize();
  const std::int64_t ranks = this->ranks();
  expect_elements(
      between, [&](std::int64_t) { return ranks * ranks; }, "after two");
  expect_elements(
      data, [&](std::int64_t) { return ranks * ranks * ranks; }, "after three");
}

TEST_F(MpiCommunicator, RunsCollectivesOfTwoStreamsThatRanksReachInDifferentOrder) {
  auto other = device_.create_stream("other");
  std::vector<std::vector<float>> buffers;
  for (int i = 0; i < 24; ++i) buffers.emplace_back(static_cast<std::size_t>(1 + i * 4001), 1.0F);
  // A call that has to make room waits for earlier ones, which wait for the other stream here.
  for (Stream* stream : {stream_.get(), other.get()}) {
    communicator_->reserve(*stream,
                           static_cast<std::int64_t>(std::span(buffers.back()).size_bytes()));
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
    communicator_->all_reduce(buffers[i].data(), static_cast<std::int64_t>(buffers[i].size()),
                              DType::kF32, ReduceOperation::kSum, i % 2 == 0 ? *stream_ : *other,
                              {"bucket", static_cast<int>(i)});
  }
  open.store(true);
  stream_->synchronize();
  other->synchronize();
  for (const auto& buffer : buffers) {
    expect_elements(
        buffer, [&](std::int64_t) { return ranks(); }, "bucket");
  }
}

TEST_F(MpiCommunicator, BarrierWaitsForEveryRank) {
  auto event = device_.create_event();
  for (int round = 0; round < 5; ++round) {
    for (int last = 0; last < ranks(); ++last) {
      // Events of all ranks of one node carry the same steady clock.
      double entered = 0;
      if (rank() == last) {
        session->control().barrier();
        stream_->record(*event);
        event->synchronize();
        entered = event->seconds();
      } else {
        session->control().barrier();
      }
      communicator_->barrier(*stream_, {"barrier test", round});
      stream_->record(*event);
      event->synchronize();
      const double left = event->seconds();
      // What the last rank did before it entered is before what any rank did after it left.
      EXPECT_GE(left, session->control().sum(entered));
    }
  }
}

TEST_F(MpiCommunicator, SplitsByColorAndOrdersByKey) {
  // Odd and even ranks, in descending order.
  auto half = communicator_->split(rank() % 2, -rank());
  const int members = (ranks() + 1 - rank() % 2) / 2;
  ASSERT_EQ(half->size(), members);
  EXPECT_EQ(half->rank(), members - 1 - rank() / 2);
  std::vector<std::int32_t> all(static_cast<std::size_t>(members));
  const std::int32_t mine = rank();
  half->all_gather(all.data(), &mine, 1, DType::kI32, *stream_, {"split test"});
  // The parent is used at the same time.
  std::int32_t sum = 1;
  communicator_->all_reduce(&sum, 1, DType::kI32, ReduceOperation::kSum, *stream_, {"parent"});
  stream_->synchronize();
  for (int i = 0; i < members; ++i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)], rank() % 2 + 2 * (members - 1 - i));
  }
  EXPECT_EQ(sum, ranks());

  auto alone = half->split(half->rank(), 0);
  EXPECT_EQ(alone->size(), 1);
  auto again = communicator_->split(0, 0);
  EXPECT_EQ(again->size(), ranks());
  EXPECT_EQ(again->rank(), rank());
}

TEST_F(MpiCommunicator, AllocatesNothingInSteadyState) {
  std::vector<float> data(300000, 0.0F);
  std::vector<float> gathered(data.size() * static_cast<std::size_t>(ranks()));
  const auto count = static_cast<std::int64_t>(data.size());
  const auto step = [&] {
    for (int i = 0; i < 5; ++i) {
      communicator_->all_reduce(data.data(), count, DType::kF32, ReduceOperation::kSum, *stream_,
                                {"bucket", i});
      communicator_->all_reduce(data.data(), 2, DType::kF32, ReduceOperation::kMax, *stream_,
                                {"small", i});
    }
    communicator_->all_gather(gathered.data(), data.data(), count, DType::kF32, *stream_,
                              {"gather"});
    stream_->synchronize();
  };
  // MPI itself allocates with malloc, which is not counted.
  for (int i = 0; i < 3; ++i) step();
  const std::int64_t before = allocations.load();
  for (int i = 0; i < 3; ++i) step();
  EXPECT_EQ(allocations.load(), before);
}

TEST_F(MpiCommunicator, TellsWhatItIs) {
  EXPECT_EQ(communicator_->transport(), "mpi");
  EXPECT_EQ(rank(), session->rank());
  EXPECT_EQ(ranks(), session->size());
}

TEST(ControlChannel, GathersTextsOfDifferentLengths) {
  const std::string mine(static_cast<std::size_t>(session->rank() * 1000),
                         static_cast<char>('a' + session->rank()));
  const auto all = session->control().all_gather_bytes(mine);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(session->size()));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    EXPECT_EQ(all[rank], std::string(rank * 1000, static_cast<char>('a' + rank)));
  }
}

TEST(ControlChannel, BroadcastsTheTextOfTheRoot) {
  const int root = session->size() - 1;
  const std::string text("zero \0 byte", 11);
  const bool sends = session->rank() == root;
  EXPECT_EQ(session->control().broadcast_bytes(sends ? text : "something longer than that", root),
            text);
  EXPECT_EQ(session->control().broadcast_bytes("", 0), "");
}

TEST(ControlChannel, AgreesOnNumbers) {
  const int ranks = session->size();
  EXPECT_EQ(session->control().max(session->rank() - 100), ranks - 101);
  EXPECT_EQ(session->control().min(session->rank() + 100), 100);
  EXPECT_EQ(session->control().sum(0.5), 0.5 * ranks);
  session->control().barrier();
}

TEST(MpiSession, KnowsTheNode) {
  EXPECT_LT(session->local_rank(), session->local_size());
  EXPECT_LE(session->local_size(), session->size());
  EXPECT_FALSE(session->hostname().empty());
}

}  // namespace
}  // namespace ingot

namespace {

class FailurePrinter : public ::testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_, result.file_name(), result.line_number(),
                 result.message());
  }

 private:
  int rank_;
};

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ingot::MpiSession session;
  ingot::session = &session;
  if (session.rank() != 0) {
    // Rank 0 reports progress; of the others only failures are worth reading.
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(session.rank()));
  }
  const int failed = RUN_ALL_TESTS();
  // Every rank ends as the worst one.
  return static_cast<int>(session.control().max(failed));
}
