// The losses: rows of a warp, of a block in shared memory, longer ones that are kept in registers
// too, and those that are read again; rows that begin anywhere relative to 16 bytes; targets that
// are not counted.
#include "tests/ops/cuda_kernels/against_cpu.hpp"

namespace ingot::test {
namespace {

using LossKernels = AgainstCpu;

TEST_F(LossKernels, TakeRowsOfEveryLength) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {1, 31, 32, 256, 257, 259, 1024, 4100, 32000}) {
      for (const std::int64_t gradient : {0, 1}) {
        compare("cross_entropy",
                {random(dtype, Shape{5, columns}, -6, 6),
                 random(DType::kI32, Shape{5}, -1, static_cast<double>(columns))},
                {{"gradient", gradient}});
      }
    }
  }
}

TEST_F(LossKernels, TakeRowsThatDoNotFitSharedMemory) {
  // Of 227 KiB and of 163 KiB; the longer of each type are more than registers hold besides.
  for (const std::int64_t columns : {60001, 82400, 90001}) {
    compare("cross_entropy",
            {random(DType::kF32, Shape{3, columns}, -6, 6), random(DType::kI32, Shape{3}, -1, 9)},
            {{"gradient", std::int64_t{1}}});
  }
  for (const std::int64_t columns : {120003, 170001}) {
    compare("cross_entropy",
            {random(DType::kBf16, Shape{2, columns}, -6, 6), indices(Shape{2}, columns)},
            {{"gradient", std::int64_t{1}}});
  }
}

TEST_F(LossKernels, ALongRowOfMinusInfinityButOneIsCertain) {
  std::vector<double> x(60000, -INFINITY);
  x[59999] = 3;
  compare(
      "cross_entropy",
      {HostTensor({DType::kF32, Shape{1, 60000}}, x), HostTensor({DType::kI32, Shape{1}}, {59999})},
      {{"gradient", std::int64_t{1}}});
}

TEST_F(LossKernels, ARowOfMinusInfinityButOneIsCertain) {
  std::vector<double> x(1000, -INFINITY);
  x[999] = 3;
  for (const std::int64_t gradient : {0, 1}) {
    compare(
        "cross_entropy",
        {HostTensor({DType::kF32, Shape{1, 1000}}, x), HostTensor({DType::kI32, Shape{1}}, {999})},
        {{"gradient", gradient}});
  }
}

TEST_F(LossKernels, SumLossesOfShortAndLongSamples) {
  for (const std::int64_t length : {1, 16, 17, 3000}) {
    compare("loss_sums", {random(DType::kF32, Shape{70, length}, 0, 9)}, {}, 1e-14);
  }
  compare("binary_cross_entropy",
          {random(DType::kF32, Shape{1000, 1}, -9, 9), random(DType::kI32, Shape{1000}, -1, 2)},
          {{"gradient", std::int64_t{1}}, {"positive_weight", 3.0}});
}

}  // namespace
}  // namespace ingot::test
