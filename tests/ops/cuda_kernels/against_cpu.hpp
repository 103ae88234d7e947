// Runs one use of an op on the CPU and on the GPU and compares every output. The tests of this
// folder reach each variant of a kernel (vectors and single elements, rows of a warp, of a block
// and longer ones, long and short segments); what ops compute is tested beside each op, on both
// devices.
#pragma once

#include <cstdlib>
#include <string>

#include "tests/ops/op_check.hpp"

namespace ingot::test {

/// Makes run_op() take the CPU while it lives.
class OnCpu {
 public:
  OnCpu() { setenv("INGOT_TEST_DEVICE", "cpu", 1); }
  ~OnCpu() { setenv("INGOT_TEST_DEVICE", "cuda", 1); }
  OnCpu(const OnCpu&) = delete;
  OnCpu& operator=(const OnCpu&) = delete;
};

class AgainstCpu : public ::testing::Test {
 protected:
  AgainstCpu() { register_ops(registry_); }
  void SetUp() override {
    if (!on_cuda()) GTEST_SKIP() << "compares a GPU with the CPU; INGOT_TEST_DEVICE is not cuda";
  }

  /// 0: 1e-5 where every real tensor is f32 or f64, 1e-2 (a bf16 unit is 4e-3) where one is bf16.
  void compare(const std::string& op, const std::vector<HostTensor>& inputs,
               const Attributes& attributes, double tolerance = 0) {
    if (tolerance == 0) {
      tolerance = 1e-5;
      for (const HostTensor& input : inputs) {
        if (input.type().dtype == DType::kBf16) tolerance = 1e-2;
      }
    }
    const Op& kind = registry_.find(op);
    const auto types = kind.infer(types_of(inputs), attributes);
    std::uint32_t accumulate = 0;
    bool in_place = false;
    for (std::size_t o = 0; o < types.size(); ++o) {
      if (kind.can_accumulate(static_cast<int>(o))) accumulate |= 1U << o;
      in_place = in_place || kind.in_place(static_cast<int>(o)) >= 0;
    }
    compare_with(op, inputs, attributes, {}, tolerance);
    if (in_place) compare_with(op, inputs, attributes, {.in_place = true}, tolerance);
    if (accumulate == 0) return;
    RunOptions options{.accumulate = accumulate};
    for (std::size_t o = 0; o < types.size(); ++o) {
      options.initial.push_back(((accumulate >> o) & 1U) != 0
                                    ? HostTensor::random(types[o], generator_)
                                    : HostTensor(types[o]));
    }
    compare_with(op, inputs, attributes, options, tolerance);
  }

  HostTensor random(DType dtype, const Shape& shape, double low = -1, double high = 1) {
    return HostTensor::random({dtype, shape}, generator_, low, high);
  }
  HostTensor indices(const Shape& shape, std::int64_t rows) {
    return random(DType::kI32, shape, 0, static_cast<double>(rows));
  }

  Registry registry_;
  std::mt19937 generator_{31};

 private:
  void compare_with(const std::string& op, const std::vector<HostTensor>& inputs,
                    const Attributes& attributes, const RunOptions& options, double tolerance) {
    std::string what = op;
    for (const HostTensor& input : inputs) what += " " + input.type().text();
    if (options.in_place) what += " in place";
    if (options.accumulate != 0) what += " accumulating";
    SCOPED_TRACE(what);
    std::vector<HostTensor> of_gpu = inputs;
    const auto actual = run_op(registry_, op, of_gpu, attributes, options);
    std::vector<HostTensor> again = inputs;
    const auto repeated = run_op(registry_, op, again, attributes, options);
    std::vector<HostTensor> of_cpu = inputs;
    std::vector<HostTensor> expected;
    {
      const OnCpu cpu;
      expected = run_op(registry_, op, of_cpu, attributes, options);
    }
    for (std::size_t o = 0; o < actual.size(); ++o) {
      expect_close(actual[o], expected[o].values(), tolerance, "output " + std::to_string(o));
      EXPECT_TRUE(repeated[o].same_bits(actual[o])) << "output " << o << ": two runs differ";
    }
    const std::uint32_t mutated = registry_.find(op).mutated_inputs();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (((mutated >> i) & 1U) == 0 || inputs[i].type().dtype == DType::kU8) continue;
      expect_close(of_gpu[i], of_cpu[i].values(), tolerance, "input " + std::to_string(i));
      EXPECT_TRUE(again[i].same_bits(of_gpu[i])) << "input " << i << ": two runs differ";
    }
  }
};

}  // namespace ingot::test
