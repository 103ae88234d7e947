// The cases of `ingot bench ops` cover all ops and fit them.
#include "launcher/op_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "launcher/measure.hpp"
#include "ops/device/cpu/cpu_device.hpp"

namespace ingot {
namespace {

class OpCases : public testing::Test {
 protected:
  OpCases() { register_ops(registry_); }

  Registry registry_;
  cpu::CpuDevice device_{2};
};

TEST_F(OpCases, CoverEveryOpOfTheRegistry) {
  std::set<std::string> covered;
  for (const DType type : {DType::kF32, DType::kBf16}) {
    for (const OpCase& use : op_cases(type)) covered.insert(use.op);
  }
  const std::vector<std::string> names = registry_.names();
  EXPECT_THAT(covered, testing::ContainerEq(std::set<std::string>(names.begin(), names.end())));
}

TEST_F(OpCases, RunAndStateWhatTheyCost) {
  for (const CaseSizes& sizes : {CaseSizes{}, tiny_sizes()}) {
    for (const DType type : {DType::kF32, DType::kBf16}) {
      for (const OpCase& use : op_cases(type, sizes)) {
        SCOPED_TRACE(use.op + " " + std::string(name_of(type)));
        const OpTime time = measure_op(registry_, device_, use, 0);
        EXPECT_GT(time.seconds, 0);
        EXPECT_GE(time.seconds, time.least_seconds);
        EXPECT_GT(time.cost.bytes_read, 0);
      }
    }
  }
}

TEST_F(OpCases, FitTheirOpsInEverySize) {
  for (const CaseSizes& sizes : {CaseSizes{}, tiny_sizes(), gpt2_sizes()}) {
    for (const DType type : {DType::kF32, DType::kBf16}) {
      for (const OpCase& use : op_cases(type, sizes)) {
        std::vector<TensorType> inputs;
        for (const CaseInput& input : use.inputs) inputs.push_back(input.type);
        EXPECT_NO_THROW(registry_.find(use.op).infer(inputs, use.attributes)) << use.op;
      }
    }
  }
}

TEST_F(OpCases, PeaksAreThoseOfTheProductsAsked) {
  const std::vector<std::int64_t> none;
  EXPECT_EQ(measure_matrix_peak(registry_, device_, DType::kF32, none, 0), 0);
  const std::vector<std::int64_t> one = {64};
  EXPECT_GT(measure_matrix_peak(registry_, device_, DType::kF32, one, 0), 0);
  EXPECT_GT(measure_copy(registry_, device_, 1 << 20, 0), 0);
}

}  // namespace
}  // namespace ingot
