// Look-ups and their backward: whole vectors and single elements; tables that are summed in shared
// memory, in copies, in one chunk and in several; tables whose samples are sorted, of one to four
// digits, with more samples than one tile of the sort and more of a row than a window.
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
    for (const std::int64_t rows : {1, 7, 256, 1000, 70000}) {
      for (const std::int64_t columns : {4, 5}) {
        compare("embedding_backward",
                {indices(Shape{2, 2500}, rows), random(dtype, Shape{2, 2500, columns})},
                {{"rows", rows}}, dtype == DType::kF32 ? 1e-5 : 2e-2);
      }
    }
  }
}

TEST_F(LookupKernels, SortSamplesOfTablesOfEveryNumberOfDigits) {
  // Exactly one digit, two, three.
  struct Table {
    std::int64_t rows;
    std::int64_t columns;
  };
  for (const Table table : {Table{31, 1900}, Table{1023, 60}, Table{1024, 57}}) {
    compare("embedding_backward",
            {indices(Shape{3, 700}, table.rows), random(DType::kF32, Shape{3, 700, table.columns})},
            {{"rows", table.rows}});
  }
}

TEST_F(LookupKernels, SumSmallTablesInChunks) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t width : {16, 15}) {
      compare("tabular_input_backward",
              {indices(Shape{3001, 8}, 900), random(dtype, Shape{3001, 4 + 8 * width})},
              {{"features", std::int64_t{4}}, {"rows", std::int64_t{900}}},
              dtype == DType::kF32 ? 1e-5 : 2e-2);
    }
  }
}

TEST_F(LookupKernels, SumARowThatMostSamplesHave) {
  for (const std::int64_t rows : {2, 900}) {
    HostTensor categories = indices(Shape{2600, 8}, rows);
    std::vector<double> values = categories.values();
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i % 5 != 0) values[i] = 1;
    }
    categories.set_values(values);
    compare("tabular_input_backward", {categories, random(DType::kF32, Shape{2600, 8 * 16}, 0, 1)},
            {{"features", std::int64_t{0}}, {"rows", rows}}, 1e-4);
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
