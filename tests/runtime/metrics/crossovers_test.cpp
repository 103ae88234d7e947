#include "runtime/metrics/crossovers.hpp"

#include <gtest/gtest.h>

namespace ingot {
namespace {

CollectiveFigure figure(const char* transport, const char* operation, std::int64_t bytes,
                        double seconds, std::int64_t ranks = 4, std::int64_t nodes = 1) {
  return {transport, ranks, nodes, true, operation, "f32", bytes, seconds};
}

TEST(Crossovers, KeepDefaultsWhereNothingWasMeasured) {
  EXPECT_EQ(crossovers_of({}, 4), Crossovers());
  // Other numbers of ranks, several nodes, and sizes that only one was measured at do not count.
  EXPECT_EQ(crossovers_of({figure("one_shot", "all_reduce", 1024, 1e-6, 8),
                           figure("nccl", "all_reduce", 1024, 9e-6, 8),
                           figure("one_shot", "all_reduce", 1024, 1e-6, 4, 2),
                           figure("nccl", "all_reduce", 1024, 9e-6, 4, 2),
                           figure("one_shot", "all_reduce", 1024, 1e-6),
                           figure("nccl", "all_reduce", 2048, 9e-6)},
                          4),
            Crossovers());
}

TEST(Crossovers, LieBeforeTheFirstSizeAtWhichTheOtherIsFaster) {
  const Crossovers found = crossovers_of(
      {figure("one_shot", "all_reduce", 1024, 5e-6), figure("two_shot", "all_reduce", 1024, 7e-6),
       figure("nccl", "all_reduce", 1024, 17e-6), figure("one_shot", "all_reduce", 65536, 9e-6),
       figure("two_shot", "all_reduce", 65536, 8e-6), figure("nccl", "all_reduce", 65536, 18e-6),
       figure("one_shot", "all_reduce", 1 << 20, 40e-6),
       figure("two_shot", "all_reduce", 1 << 20, 30e-6),
       figure("nccl", "all_reduce", 1 << 20, 2e-5),
       // A size beyond it, by chance the other way round.
       figure("one_shot", "all_reduce", 1 << 21, 1e-6), figure("nccl", "all_reduce", 1 << 21, 2e-5),
       figure("one_shot", "all_gather", 4096, 5e-6), figure("nccl", "all_gather", 4096, 4e-6)},
      4);
  Crossovers expected;
  expected.one_shot_bytes = 1024;
  expected.direct.all_reduce = 65536;
  expected.direct.all_gather = 0;
  EXPECT_EQ(found, expected);
  EXPECT_EQ(crossovers_from(text_of(found)), found);
}

}  // namespace
}  // namespace ingot
