// What `ingot bench collectives` measures: sizes and bandwidths as nccl-tests defines them, and a
// check that notices wrong results.
#include "launcher/collective_cases.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {
namespace {

/// Results by hand: what all ranks' inputs make of one rank's output, in f32.
std::vector<float> output_of(const CollectiveCase& use, int rank,
                             const std::vector<std::vector<float>>& inputs) {
  const auto count = static_cast<std::size_t>(use.count);
  const auto at = static_cast<std::size_t>(rank);
  std::vector<float> sum(inputs[0].size());
  for (const auto& input : inputs) {
    std::transform(sum.begin(), sum.end(), input.begin(), sum.begin(), std::plus<>());
  }
  std::vector<float> result;
  const auto block = [&](const std::vector<float>& data, std::size_t index) {
    const auto begin = data.begin() + static_cast<std::ptrdiff_t>(index * count);
    result.insert(result.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  switch (use.kind) {
    case CollectiveKind::kAllReduce:
      return sum;
    case CollectiveKind::kBroadcast:
      return inputs[0];
    case CollectiveKind::kReduceScatter:
      block(sum, at);
      return result;
    case CollectiveKind::kAllGather:
      for (const auto& input : inputs) block(input, 0);
      return result;
    default:
      for (const auto& input : inputs) block(input, at);
      return result;
  }
}

class CollectiveCases : public testing::TestWithParam<CollectiveKind> {
 protected:
  cpu::CpuDevice device_{1};
  HostTransfer transfer_{device_};
};

TEST_P(CollectiveCases, KnowTheirResultsExactly) {
  for (const int ranks : {1, 2, 3, 7}) {
    const CollectiveCase use = case_of(GetParam(), DType::kF32, 3000, ranks);
    const auto elements = static_cast<std::size_t>(use.bytes()) / sizeof(float);
    std::vector<std::vector<float>> inputs(static_cast<std::size_t>(ranks));
    std::vector<float> to(elements);
    for (int rank = 0; rank < ranks; ++rank) {
      auto& from = inputs[static_cast<std::size_t>(rank)];
      from.resize(elements);
      write_inputs(use, rank, to.data(), from.data(), transfer_);
      if (use.from_bytes() == 0) from = to;
      // A single rank's data in place and the root's of a broadcast are the result already.
      const bool root = use.kind == CollectiveKind::kBroadcast && rank == 0;
      const bool already = use.from_bytes() == 0 && (ranks == 1 || root);
      EXPECT_EQ(count_errors(use, rank, to.data(), transfer_) == 0, already) << "before the call";
    }
    for (int rank = 0; rank < ranks; ++rank) {
      std::vector<float> result = output_of(use, rank, inputs);
      ASSERT_EQ(static_cast<std::int64_t>(result.size() * sizeof(float)), use.to_bytes());
      EXPECT_EQ(count_errors(use, rank, result.data(), transfer_), 0) << ranks << " ranks";
      result.front() += 1;
      result.back() -= 1;
      EXPECT_EQ(count_errors(use, rank, result.data(), transfer_), 2);
    }
  }
}

TEST_P(CollectiveCases, HaveTheAskedSizeOrALittleLess) {
  for (const int ranks : {1, 2, 3, 8}) {
    for (const std::int64_t bytes : {1, 1000, 1024, 1 << 20}) {
      const CollectiveCase use = case_of(GetParam(), DType::kBf16, bytes, ranks);
      EXPECT_GE(use.count, 1);
      if (bytes >= 2 * ranks) {
        EXPECT_LE(use.bytes(), bytes);
        EXPECT_GT(use.bytes(), bytes - 2 * ranks);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CollectiveCases,
                         testing::ValuesIn(measured_kinds().begin(), measured_kinds().end()),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST(BusBandwidth, IsThatOfNcclTests) {
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllReduce, 2), 1);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllReduce, 8), 1.75);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kReduceScatter, 4), 0.75);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllGather, 2), 0.5);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kAllToAll, 8), 0.875);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveKind::kBroadcast, 8), 1);
}

TEST(CollectiveCase, CountsTheLargerBufferAsItsSize) {
  const CollectiveCase gather = case_of(CollectiveKind::kAllGather, DType::kF32, 1 << 10, 4);
  EXPECT_EQ(gather.count, 64);
  EXPECT_EQ(gather.from_bytes(), 256);
  EXPECT_EQ(gather.to_bytes(), 1 << 10);
  const CollectiveCase scatter = case_of(CollectiveKind::kReduceScatter, DType::kF32, 1 << 10, 4);
  EXPECT_EQ(scatter.bytes(), 1 << 10);
  EXPECT_EQ(scatter.to_bytes(), 256);
}

TEST(CollectiveCase, StaysExactInBf16OnManyRanks) {
  cpu::CpuDevice device(1);
  HostTransfer transfer(device);
  for (const int ranks : {2, 18, 100, 500}) {
    const CollectiveCase use = case_of(CollectiveKind::kAllReduce, DType::kF32, 4 * 61, ranks);
    std::vector<float> sum(61), input(61);
    for (int rank = 0; rank < ranks; ++rank) {
      write_inputs(use, rank, input.data(), nullptr, transfer);
      std::transform(sum.begin(), sum.end(), input.begin(), sum.begin(), std::plus<>());
    }
    for (const float value : sum) EXPECT_LT(value, 200);
    EXPECT_GT(std::accumulate(sum.begin(), sum.end(), 0.F), 0);
    EXPECT_EQ(count_errors(use, 0, sum.data(), transfer), 0);
  }
}

TEST(KindNamed, KnowsNamesAndProposesTheNearest) {
  EXPECT_EQ(kind_named("all_gather"), CollectiveKind::kAllGather);
  try {
    kind_named("allreduce");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("did you mean 'all_reduce'"), std::string::npos);
  }
}

}  // namespace
}  // namespace ingot
