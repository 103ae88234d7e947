// Ordered reductions over MPI: the bits of a serial tree sum, the bytes that DESIGN.md names, and
// no allocation once prepared. Started by ctest under mpirun with 1 to 8 ranks, also on GPUs.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>

#include "collectives/mpi/control_channel.hpp"
#include "collectives/mpi/mpi_communicator.hpp"
#include "collectives/mpi/mpi_session.hpp"
#include "tests/collectives/ordered_check.hpp"
#include "tests/rank_device.hpp"

namespace {

std::atomic<std::int64_t> allocations{0};

}  // namespace

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

namespace ingot::test {
namespace {

MpiSession* session = nullptr;  // made by main, since MPI lives once in a process

class OrderedOverMpi : public ::testing::Test {
 protected:
  OrderedOverMpi()
      : device_(make_device_of_rank(session->rank(), session->size())),
        stream_(device_->create_stream("collectives")),
        ranks_(create_mpi_communicator(*session)) {}
  void SetUp() override {
    if (on_cuda() && !for_gpus_) GTEST_SKIP() << "counts on the CPU";
  }

  bool for_gpus_ = false;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Communicator> ranks_;
};

class OrderedSums : public OrderedOverMpi {
 protected:
  OrderedSums() { for_gpus_ = true; }
};

TEST_F(OrderedSums, HaveTheBitsOfOneRank) {
  check_all_ordered(*ranks_, *stream_);
}

TEST_F(OrderedSums, AreOfEachReplaysOwnNumbers) {
  check_recorded_sum(*ranks_, *stream_);
}

TEST_F(OrderedOverMpi, SendsPPartialsOnceAndGathersOnce) {
  const int size = ranks_->size();
  constexpr std::int64_t kCount = 1000;
  for (const std::int64_t accumulation : {1, 3, 5, 8}) {
    const ReductionTree tree(accumulation * size, size, MicroAssignment::kConsecutive);
    CountingCommunicator counting(nullptr, *ranks_);
    OrderedReduction reduction(counting, tree);
    const std::int64_t bytes = size * kCount * 4;  // n of DESIGN.md, section 3
    const std::vector<float> gradients(static_cast<std::size_t>(size * kCount), 1.0F);
    const std::vector<const float*> partials(static_cast<std::size_t>(tree.partials()),
                                             gradients.data());
    std::vector<float> sums(static_cast<std::size_t>(size * kCount));
    std::vector<std::byte> scratch(static_cast<std::size_t>(reduction.scratch_bytes(kCount)));
    float* own = sums.data() + ranks_->rank() * kCount;
    reduction.reduce_scatter(own, partials, kCount, scratch.data(), *stream_, {"test"});
    EXPECT_EQ(counting.sent(), tree.partials() * bytes * (size - 1) / size);
    counting.all_gather(sums.data(), own, kCount, DType::kF32, *stream_, {"test"});
    EXPECT_EQ(counting.sent(), (tree.partials() + 1) * bytes * (size - 1) / size);
    stream_->synchronize();
  }
}

TEST_F(OrderedOverMpi, SendsBetweenNodesWhatARingWould) {
  const int size = ranks_->size();
  constexpr std::int64_t kCount = 1000;
  for (const int node_ranks : {2, 4}) {
    const ReductionTree tree(2 * size, size, MicroAssignment::kConsecutive);
    if (!tree.nodes_are_subtrees(node_ranks)) continue;
    const std::int64_t nodes = size / node_ranks;
    CountingCommunicator counting(nullptr, *ranks_);
    OrderedReduction reduction(counting, tree, node_ranks);
    const std::int64_t bytes = size * kCount * 4;
    const std::vector<float> gradients(static_cast<std::size_t>(size * kCount), 1.0F);
    const std::vector<const float*> partials = {gradients.data()};
    std::vector<float> shard(kCount);
    std::vector<std::byte> scratch(static_cast<std::size_t>(reduction.scratch_bytes(kCount)));
    reduction.reduce_scatter(shard.data(), partials, kCount, scratch.data(), *stream_, {"test"});
    stream_->synchronize();
    EXPECT_EQ(counting.sent(), 0);
    EXPECT_EQ(counting.sent_by_part(0), bytes * (node_ranks - 1) / node_ranks);
    // A node of L ranks sends (N-1)/N of n in all: that of a ring over nodes.
    EXPECT_EQ(counting.sent_by_part(1) * node_ranks, bytes * (nodes - 1) / nodes);
  }
}

TEST_F(OrderedOverMpi, AllocatesNothingOncePrepared) {
  const int size = ranks_->size();
  constexpr std::int64_t kCount = 3000;
  const ReductionTree tree(3 * size, size, MicroAssignment::kConsecutive);
  OrderedReduction reduction(*ranks_, tree);
  const std::vector<float> gradients(static_cast<std::size_t>(size * kCount), 1.0F);
  const std::vector<const float*> partials(static_cast<std::size_t>(tree.partials()),
                                           gradients.data());
  std::vector<float> shard(kCount);
  std::vector<std::byte> scratch(static_cast<std::size_t>(reduction.scratch_bytes(kCount)));
  const auto reduce = [&] {
    for (int i = 0; i < 10; ++i) {
      reduction.reduce_scatter(shard.data(), partials, kCount, scratch.data(), *stream_, {"test"});
    }
    stream_->synchronize();
  };
  reduce();
  session->control().barrier();
  const std::int64_t before = allocations.load();
  reduce();
  EXPECT_EQ(allocations.load(), before);
}

}  // namespace
}  // namespace ingot::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ingot::MpiSession session;
  ingot::test::session = &session;
  if (session.rank() != 0) {
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int failed = RUN_ALL_TESTS();
  // Every rank ends as the worst one.
  return static_cast<int>(session.control().max(failed));
}
