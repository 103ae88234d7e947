// embedding and its gradient against direct look-ups and sums in double.
#include "tests/ops/op_check.hpp"
#include "tests/ops/targets.hpp"

namespace ingot::test {
namespace {

constexpr std::int64_t kBatch = 3;
constexpr std::int64_t kLength = 7;

class Embedding : public ::testing::Test {
 protected:
  Embedding() { register_ops(registry_); }

  OpCheck check(DType dtype, std::int64_t columns, bool has_positions) {
    std::vector<HostTensor> inputs = {
        HostTensor::random({DType::kI32, Shape{kBatch, kLength}}, generator_, 0, 11),
        HostTensor::random({dtype, Shape{11, columns}}, generator_)};
    if (has_positions) {
      inputs.push_back(
          HostTensor::random({DType::kI32, Shape{kBatch, kLength}}, generator_, 0, kLength));
      inputs.push_back(HostTensor::random({dtype, Shape{kLength, columns}}, generator_));
    } else {
      inputs.resize(4);
    }
    return {registry_, "embedding", inputs, {}, [columns](Values& in) {
              Values out(1);
              for (std::size_t i = 0; i < in[0].size(); ++i) {
                for (std::size_t c = 0; c < static_cast<std::size_t>(columns); ++c) {
                  const auto row = [&](std::size_t input) {
                    const auto index = static_cast<std::size_t>(in[input][i]);
                    return in[input + 1][index * static_cast<std::size_t>(columns) + c];
                  };
                  out[0].push_back(row(0) + (in[2].empty() ? 0 : row(2)));
                }
              }
              return out;
            }};
  }

  Registry registry_;
  std::mt19937 generator_{4};
};

TEST_F(Embedding, LooksUpAndSumsGradientsByRow) {
  for_each_instruction_set([&] {
    for (const DType dtype : {DType::kF32, DType::kBf16}) {
      for (const std::int64_t columns : {1, 3, 17, 65, 257}) {
        const OpCheck plain = check(dtype, columns, false);
        check_forward(plain);
        check_backward(plain, {.wanted = {1}, .step = 1e-2});
        const OpCheck with_positions = check(dtype, columns, true);
        check_forward(with_positions);
        check_backward(with_positions, {.wanted = {1, 3}, .step = 1e-2});
      }
    }
  });
}

TEST_F(Embedding, GradientsOfOneRowAreAddedInTheOrderOfTheBatch) {
  // 2^24 + 1 is not a float: only the order given makes 2^24, 1, -2^24 sum to 0.
  std::vector<HostTensor> inputs = {
      HostTensor({DType::kI32, Shape{1, 4}}, {5, 2, 5, 5}),
      HostTensor({DType::kF32, Shape{1, 4, 1}}, {16777216.0, 3.0, 1.0, -16777216.0})};
  const auto gradient =
      run_op(registry_, "embedding_backward", inputs, {{"rows", std::int64_t{6}}});
  EXPECT_EQ(gradient[0].values(), (std::vector<double>{0, 0, 3, 0, 0, 0}));
}

TEST_F(Embedding, AnyNumberOfThreadsGivesTheSameBits) {
  std::vector<HostTensor> inputs = {
      HostTensor::random({DType::kI32, Shape{4, 300}}, generator_, 0, 150),
      HostTensor::random({DType::kF32, Shape{4, 300, 19}}, generator_)};
  const Attributes attributes{{"rows", std::int64_t{151}}};
  const auto one = run_op(registry_, "embedding_backward", inputs, attributes, {.threads = 1});
  for (const int threads : {2, 3, 5}) {
    const auto many =
        run_op(registry_, "embedding_backward", inputs, attributes, {.threads = threads});
    EXPECT_TRUE(many[0].same_bits(one[0])) << threads << " threads";
  }
}

TEST_F(Embedding, AnIndexOutsideTheTableIsBadData) {
  for (const double index : {11.0, -1.0}) {
    OpCheck use = check(DType::kF32, 3, false);
    std::vector<double> tokens = use.inputs[0].values();
    tokens[9] = index;
    use.inputs[0].set_values(tokens);
    try {
      run_op(registry_, "embedding", use.inputs, {});
      FAIL() << "accepted index " << index;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      EXPECT_NE(std::string(error.what()).find("11 rows"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace ingot::test
