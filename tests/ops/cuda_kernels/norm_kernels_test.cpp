// layernorm and rmsnorm: rows of a warp with one to four vectors a lane, of a block with one, two
// and four, longer ones, and rows whose length is no whole number of vectors.
#include "tests/ops/cuda_kernels/against_cpu.hpp"

namespace ingot::test {
namespace {

class NormKernels : public AgainstCpu {
 protected:
  /// Forward with and without the add; backward with and without a residual gradient.
  void compare_all(DType dtype, std::int64_t rows, std::int64_t columns, bool bias) {
    const Shape shape{rows, columns};
    const HostTensor x = random(dtype, shape, -1, 2);
    const HostTensor other = random(dtype, shape, -1, 2);
    const HostTensor gamma = random(dtype, Shape{columns}, 0.5, 1.5);
    const HostTensor beta = bias ? random(dtype, Shape{columns}) : HostTensor();
    const Attributes epsilon{{"epsilon", 1e-5}};
    compare("layernorm", {x, gamma, beta}, epsilon);
    compare("add_layernorm", {x, other, gamma, beta}, epsilon);
    compare("rmsnorm", {x, gamma}, epsilon);
    compare("add_rmsnorm", {x, other, gamma}, epsilon);

    const HostTensor mean = random(DType::kF32, Shape{rows});
    const HostTensor rstd = random(DType::kF32, Shape{rows}, 0.5, 1.5);
    for (const HostTensor& residual : {random(dtype, shape), HostTensor()}) {
      compare("layernorm_backward", {other, x, mean, rstd, gamma, residual},
              {{"bias", std::int64_t{bias ? 1 : 0}}});
      compare("rmsnorm_backward", {other, x, rstd, gamma, residual}, {});
    }
  }
};

TEST_F(NormKernels, TakeRowsOfAWarp) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {8, 104, 256, 384, 512, 768, 1024}) {
      compare_all(dtype, 37, columns, columns != 104);
    }
  }
}

TEST_F(NormKernels, TakeRowsOfABlock) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {1032, 2048, 4104, 8192}) {
      compare_all(dtype, 35, columns, columns != 1032);
    }
  }
}

TEST_F(NormKernels, TakeRowsThatAreNoWholeNumberOfVectors) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {1, 99, 129, 1027, 2047}) {
      // One column leaves nothing but rounding of x - mean.
      if (columns > 1) compare_all(dtype, 33, columns, true);
    }
  }
}

TEST_F(NormKernels, TakeRowsTooLongForRegisters) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    compare_all(dtype, 3, 8200, true);
    compare_all(dtype, 3, 4099, false);
    compare_all(dtype, 2, 17000, true);
  }
}

TEST_F(NormKernels, TakeManyRowsAndNone) {
  compare_all(DType::kBf16, 2100, 64, true);
  const HostTensor none(TensorType{DType::kF32, Shape{0, 8}});
  const HostTensor row(TensorType{DType::kF32, Shape{0}});
  compare("layernorm_backward", {none, none, row, row, random(DType::kF32, Shape{8}), HostTensor()},
          {{"bias", std::int64_t{1}}});
}

}  // namespace
}  // namespace ingot::test
