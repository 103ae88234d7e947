// The cases of `ingot bench ops` cover all ops and fit them.
#include "launcher/op_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "launcher/measure.hpp"

namespace ingot {
namespace {

TEST(OpCases, CoverEveryOpOfTheRegistry) {
  Registry registry;
  register_ops(registry);
  std::set<std::string> covered;
  for (const DType type : {DType::kF32, DType::kBf16}) {
    for (const OpCase& use : op_cases(type)) covered.insert(use.op);
  }
  const std::vector<std::string> names = registry.names();
  EXPECT_THAT(covered, testing::ContainerEq(std::set<std::string>(names.begin(), names.end())));
}

TEST(OpCases, RunAndStateWhatTheyCost) {
  Registry registry;
  register_ops(registry);
  cpu::CpuDevice device(2);
  for (const DType type : {DType::kF32, DType::kBf16}) {
    for (const OpCase& use : op_cases(type)) {
      SCOPED_TRACE(use.op + " " + std::string(name_of(type)));
      const OpTime time = measure_op(registry, device, use, 0);
      EXPECT_GT(time.seconds, 0);
      EXPECT_GT(time.cost.bytes_read, 0);
    }
  }
}

}  // namespace
}  // namespace ingot
