// Look-ups and their backward: whole vectors and single elements, more samples than one tile of the
// sort, rows with more samples than a window, tables of one, two and three digits.
#include "tests/ops/cuda_kernels/against_cpu.hpp"

namespace ingot::test {
namespace {

using LookupKernels = AgainstCpu;

TEST_F(LookupKernels, LookUpWholeVectors) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t columns : {8, 96, 1288}) {
      compare("embedding",
              {indices(Shape{3, 50}, 300), random(dtype, Shape{300, columns}),
               indices(Shape{3, 50}, 50), random(dtype, Shape{50, columns})},
              {});
      compare("embedding", {indices(Shape{3, 50}, 300), random(dtype, Shape{300, columns}), {}, {}},
              {});
    }
    for (const std::int64_t features : {0, 8, 13}) {
      for (const std::int64_t width : {4, 6, 16}) {
        compare("tabular_input",
                {random(DType::kF32, Shape{530, features}), indices(Shape{530, 5}, 40),
                 random(dtype, Shape{40, width})},
                {});
        compare("tabular_input_backward",
                {indices(Shape{530, 5}, 40), random(dtype, Shape{530, features + 5 * width})},
                {{"features", features}, {"rows", std::int64_t{40}}});
      }
    }
  }
}

TEST_F(LookupKernels, SumTheSamplesOfEachRow) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    // Rows of the table: one digit of the sort, exactly one, two, three.
    for (const std::int64_t rows : {1, 7, 255, 256, 1000, 70000}) {
      for (const std::int64_t columns : {4, 5}) {
        compare("embedding_backward",
                {indices(Shape{2, 2500}, rows), random(dtype, Shape{2, 2500, columns})},
                {{"rows", rows}}, dtype == DType::kF32 ? 1e-5 : 2e-2);
      }
    }
  }
}

TEST_F(LookupKernels, SumLongSegmentsThatBeginAnywhere) {
  // Segments of 1 to 300 samples, in a mixed order, which end at all places of the windows.
  std::vector<double> tokens;
  for (int row = 0; row < 60; ++row) {
    tokens.insert(tokens.end(), static_cast<std::size_t>(1 + (row * 71) % 300), row);
  }
  std::shuffle(tokens.begin(), tokens.end(), generator_);
  const auto count = static_cast<std::int64_t>(tokens.size());
  for (const std::int64_t columns : {3, 136, 1100}) {
    compare("embedding_backward",
            {HostTensor({DType::kI32, Shape{1, count}}, tokens),
             random(DType::kF32, Shape{1, count, columns})},
            {{"rows", std::int64_t{61}}});
  }
}

TEST_F(LookupKernels, LeaveOutAndReportSamplesOutsideTheTable) {
  std::vector<HostTensor> inputs = {HostTensor({DType::kI32, Shape{1, 3}}, {2, 9, 1}),
                                    random(DType::kF32, Shape{1, 3, 4})};
  try {
    run_op(registry_, "embedding_backward", inputs, {{"rows", std::int64_t{9}}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("index 9 at element 1"), std::string::npos)
        << error.what();
  }
  // The report is taken: what follows runs.
  inputs[0].set_values({2, 8, 1});
  run_op(registry_, "embedding_backward", inputs, {{"rows", std::int64_t{9}}});
}

TEST_F(LookupKernels, RotateHeadsOfEverySize) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t head_size : {2, 6, 8, 16, 24, 64, 80, 128, 512}) {
      compare("rope", {random(dtype, Shape{2, 7, 8 * head_size}), indices(Shape{2, 7}, 130000)},
              {{"heads", std::int64_t{4}},
               {"kv_heads", std::int64_t{2}},
               {"direction", std::int64_t{-1}},
               {"base", 10000.0}});
    }
  }
}

}  // namespace
}  // namespace ingot::test
