// attention and its backward against a double-precision reference: odd lengths, grouped queries,
// documents, dropout drawn by the documented rule, several head sizes, f32 and bf16.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>

#include "ops/base/philox.hpp"
#include "tests/ops/op_check.hpp"

namespace ingot {

void register_attention(Registry& registry);

namespace {

using test::HostTensor;
using test::OpCheck;
using test::Values;

const Registry& registry() {
  static const Registry* const filled = [] {
    auto* created = new Registry;
    register_attention(*created);
    return created;
  }();
  return *filled;
}

constexpr std::uint64_t kSeed = 0x123456789abcULL;

struct Case {
  DType dtype;
  std::int64_t batch;
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_size;
  bool documents;
  double dropout;
};

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return std::string(name_of(c.dtype)) + "_B" + std::to_string(c.batch) + "_T" +
         std::to_string(c.tokens) + "_H" + std::to_string(c.heads) + "_G" +
         std::to_string(c.kv_heads) + "_D" + std::to_string(c.head_size) +
         (c.documents ? "_documents" : "") + (c.dropout > 0 ? "_dropout" : "");
}

constexpr std::int64_t kLayer = 2;

/// The factor that dropout multiplies probability (b, h, t, j) with, as the op's contract says.
double keep_factor(const Case& c, std::int64_t sample, std::int64_t h, std::int64_t t,
                   std::int64_t j) {
  if (c.dropout == 0) return 1;
  const std::int64_t row = (kLayer * c.heads + h) * c.tokens + t;
  const auto words =
      philox(kSeed, RandomPurpose::kAttentionDropout, static_cast<std::uint64_t>(sample),
             static_cast<std::uint64_t>(row * ((c.tokens + 3) / 4) + j / 4));
  const float uniform = uniform_float(words[static_cast<std::size_t>(j % 4)]);
  return uniform >= static_cast<float>(c.dropout) ? 1 / (1 - c.dropout) : 0;
}

/// Inputs qkv, documents, samples, scalars -> out, log_sum_exp.
Values attention_reference(const Case& c, const Values& inputs) {
  const std::int64_t width = (c.heads + 2 * c.kv_heads) * c.head_size;
  const auto at = [&](std::int64_t b, std::int64_t t, std::int64_t head) {
    return inputs[0].data() + (b * c.tokens + t) * width + head * c.head_size;
  };
  Values result(2);
  result[0].resize(static_cast<std::size_t>(c.batch * c.tokens * c.heads * c.head_size));
  result[1].resize(static_cast<std::size_t>(c.batch * c.heads * c.tokens));
  std::vector<double> scores(static_cast<std::size_t>(c.tokens));
  for (std::int64_t b = 0; b < c.batch; ++b) {
    const std::int64_t sample =
        c.dropout > 0 ? static_cast<std::int64_t>(inputs[2][static_cast<std::size_t>(b)]) : 0;
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const std::int64_t group = h / (c.heads / c.kv_heads);
      for (std::int64_t t = 0; t < c.tokens; ++t) {
        const auto first =
            c.documents
                ? static_cast<std::int64_t>(inputs[1][static_cast<std::size_t>(b * c.tokens + t)])
                : 0;
        const double* query = at(b, t, h);
        double largest = -HUGE_VAL;
        for (std::int64_t j = first; j <= t; ++j) {
          const double* key = at(b, j, c.heads + group);
          double dot = 0;
          for (std::int64_t d = 0; d < c.head_size; ++d) dot += query[d] * key[d];
          dot /= std::sqrt(static_cast<double>(c.head_size));
          scores[static_cast<std::size_t>(j)] = dot;
          largest = std::max(largest, dot);
        }
        double sum = 0;
        for (std::int64_t j = first; j <= t; ++j) {
          sum += std::exp(scores[static_cast<std::size_t>(j)] - largest);
        }
        result[1][static_cast<std::size_t>((b * c.heads + h) * c.tokens + t)] =
            largest + std::log(sum);
        double* out = result[0].data() + ((b * c.tokens + t) * c.heads + h) * c.head_size;
        for (std::int64_t j = first; j <= t; ++j) {
          const double probability = std::exp(scores[static_cast<std::size_t>(j)] - largest) / sum *
                                     keep_factor(c, sample, h, t, j);
          const double* value = at(b, j, c.heads + c.kv_heads + group);
          for (std::int64_t d = 0; d < c.head_size; ++d) out[d] += probability * value[d];
        }
      }
    }
  }
  return result;
}

OpCheck check_of(const Case& c) {
  std::mt19937 generator(5);
  const std::int64_t width = (c.heads + 2 * c.kv_heads) * c.head_size;
  std::vector<HostTensor> inputs;
  inputs.push_back(
      HostTensor::random({c.dtype, Shape{c.batch, c.tokens, width}}, generator, -2, 2));
  inputs.emplace_back();
  inputs.emplace_back();
  inputs.emplace_back();
  if (c.documents) {
    // Documents of random length from 1 on, so that boundaries fall anywhere in a block.
    std::vector<double> starts;
    for (std::int64_t b = 0; b < c.batch; ++b) {
      std::int64_t start = 0;
      for (std::int64_t t = 0; t < c.tokens; ++t) {
        if (generator() % 23 == 0) start = t;
        starts.push_back(static_cast<double>(start));
      }
    }
    inputs[1] = HostTensor({DType::kI32, Shape{c.batch, c.tokens}}, starts);
  }
  if (c.dropout > 0) {
    std::vector<double> samples;
    for (std::int64_t b = 0; b < c.batch; ++b) samples.push_back(static_cast<double>(1000 + 7 * b));
    inputs[2] = HostTensor({DType::kI64, Shape{c.batch}}, samples);
    StepScalars scalars;
    scalars.seed = kSeed;
    inputs[3] = HostTensor::of_struct(scalars);
  }
  return {registry(),
          "attention",
          std::move(inputs),
          {{"heads", c.heads}, {"kv_heads", c.kv_heads}, {"layer", kLayer}, {"dropout", c.dropout}},
          [c](Values& values) { return attention_reference(c, values); }};
}

class AttentionTest : public testing::TestWithParam<Case> {};

TEST_P(AttentionTest, ComputesTheReference) {
  test::check_forward(check_of(GetParam()));
}

TEST_P(AttentionTest, BackwardAgreesWithFiniteDifferences) {
  const Case& c = GetParam();
  test::BackwardOptions options;
  options.wanted = {0};
  const std::int64_t work = c.batch * c.heads * c.tokens * c.tokens * c.head_size;
  options.samples = static_cast<int>(std::clamp<std::int64_t>(100000000 / work, 12, 60));
  test::check_backward(check_of(c), options);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest,
                         testing::Values(Case{DType::kF32, 1, 1, 1, 1, 8, false, 0},
                                         Case{DType::kF32, 2, 5, 2, 2, 8, false, 0},
                                         Case{DType::kF32, 1, 97, 2, 1, 64, false, 0},
                                         Case{DType::kF32, 2, 130, 4, 2, 8, true, 0},
                                         Case{DType::kF32, 1, 203, 3, 3, 16, true, 0},
                                         Case{DType::kF32, 1, 101, 2, 2, 80, false, 0.2},
                                         Case{DType::kF32, 2, 67, 6, 2, 24, true, 0.3},
                                         Case{DType::kF32, 1, 50, 1, 1, 128, false, 0},
                                         Case{DType::kF32, 1, 20, 1, 1, 13, false, 0.1},
                                         Case{DType::kF32, 1, 133, 2, 1, 128, true, 0},
                                         Case{DType::kF32, 1, 37, 2, 1, 256, true, 0.1},
                                         Case{DType::kBf16, 1, 1, 2, 1, 64, false, 0},
                                         Case{DType::kBf16, 2, 99, 2, 2, 64, false, 0},
                                         Case{DType::kBf16, 1, 130, 4, 1, 80, true, 0},
                                         Case{DType::kBf16, 1, 64, 2, 1, 128, false, 0.2},
                                         Case{DType::kBf16, 3, 33, 2, 1, 7, true, 0.1},
                                         Case{DType::kBf16, 1, 257, 2, 1, 64, false, 0},
                                         Case{DType::kBf16, 2, 203, 4, 2, 64, true, 0},
                                         Case{DType::kBf16, 1, 131, 3, 1, 64, true, 0.2},
                                         Case{DType::kBf16, 1, 191, 4, 2, 128, true, 0},
                                         Case{DType::kBf16, 1, 129, 2, 2, 128, false, 0},
                                         Case{DType::kBf16, 2, 34, 2, 1, 128, true, 0.1},
                                         Case{DType::kBf16, 1, 70, 3, 1, 16, false, 0.1},
                                         Case{DType::kBf16, 1, 45, 2, 1, 200, true, 0.1}),
                         name_of_case);

/// The whole gradient, not a sample of it, in one case that has everything.
TEST(AttentionBackward, EveryElementAgreesWithFiniteDifferences) {
  test::BackwardOptions options;
  options.wanted = {0};
  options.samples = 1000000;
  test::check_backward(check_of({DType::kF32, 2, 13, 4, 2, 6, true, 0.25}), options);
}

/// Starts of documents given, for every batch the same.
OpCheck check_with_documents(const Case& c, const std::vector<std::int64_t>& starts) {
  OpCheck check = check_of(c);
  std::vector<double> values;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    std::size_t document = 0;
    for (std::int64_t t = 0; t < c.tokens; ++t) {
      if (document + 1 < starts.size() && starts[document + 1] == t) ++document;
      values.push_back(static_cast<double>(starts[document]));
    }
  }
  check.inputs[1].set_values(values);
  return check;
}

/// Kernels leave out whole tiles of keys or queries; these documents begin at, just before and just
/// after the edges of tiles, and one of them spans several.
TEST(Attention, DocumentsMayBeginAtTheEdgesOfTiles) {
  test::BackwardOptions options;
  options.wanted = {0};
  options.samples = 24;
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    for (const std::int64_t head_size : {64, 128}) {
      const Case c{dtype, 1, 321, 2, 1, head_size, true, 0};
      for (const std::vector<std::int64_t>& starts : {std::vector<std::int64_t>{0, 64, 128, 256},
                                                      std::vector<std::int64_t>{0, 31, 129, 320}}) {
        const OpCheck check = check_with_documents(c, starts);
        test::check_forward(check);
        test::check_backward(check, options);
      }
    }
  }
}

TEST(Attention, LargeScoresNeitherOverflowNorLoseTheSum) {
  const Case c{DType::kF32, 1, 120, 1, 1, 16, false, 0};
  OpCheck check = check_of(c);
  std::vector<double> values = check.inputs[0].values();
  for (double& value : values) value *= 20;
  check.inputs[0].set_values(values);
  check.tolerance = 2e-4;  // scores of several hundred lose digits in f32
  test::check_forward(check);
}

TEST(Attention, RefusesDropoutWithoutSamples) {
  const TensorType qkv{DType::kF32, Shape{1, 4, 24}};
  const Attributes attributes{{"heads", std::int64_t{1}},
                              {"kv_heads", std::int64_t{1}},
                              {"layer", std::int64_t{0}},
                              {"dropout", 0.1}};
  EXPECT_THROW(registry().find("attention").infer(std::vector{qkv}, attributes), Error);
}

// ---- attention_cached -------------------------------------------------------------------------

struct CachedCase {
  DType dtype;
  std::int64_t batch;
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_size;
  std::int64_t prompt;  ///< positions given at once at first; then one by one
};

class AttentionCachedTest : public testing::TestWithParam<CachedCase> {};

TEST_P(AttentionCachedTest, EqualsFullAttention) {
  const CachedCase& c = GetParam();
  const OpCheck full =
      check_of({c.dtype, c.batch, c.tokens, c.heads, c.kv_heads, c.head_size, false, 0});
  Values reference_inputs = test::values_of(full.inputs);
  const std::vector<double> expected = full.reference(reference_inputs)[0];
  const std::int64_t width = (c.heads + 2 * c.kv_heads) * c.head_size;
  const std::int64_t out_width = c.heads * c.head_size;

  // 0xff, hence NaN, wherever nothing was written: reading too far shows.
  HostTensor cache({c.dtype, Shape{c.batch, 2, c.tokens, c.kv_heads * c.head_size}});
  for (std::int64_t t = 0; t < c.tokens;) {
    const std::int64_t count = t == 0 ? c.prompt : 1;
    std::vector<double> part;
    std::vector<double> wanted;
    for (std::int64_t b = 0; b < c.batch; ++b) {
      const auto& values = reference_inputs[0];
      const auto row = values.begin() + (b * c.tokens + t) * width;
      part.insert(part.end(), row, row + count * width);
      const auto out = expected.begin() + (b * c.tokens + t) * out_width;
      wanted.insert(wanted.end(), out, out + count * out_width);
    }
    StepScalars scalars;
    scalars.cache_length = t;
    std::vector<HostTensor> inputs;
    inputs.emplace_back(TensorType{c.dtype, Shape{c.batch, count, width}}, part);
    inputs.push_back(cache);
    inputs.push_back(HostTensor::of_struct(scalars));
    const Attributes attributes{{"heads", c.heads}, {"kv_heads", c.kv_heads}};
    std::vector<HostTensor> again = inputs;
    const auto outputs =
        test::run_op(registry(), "attention_cached", inputs, attributes, {.threads = 1});
    const auto three =
        test::run_op(registry(), "attention_cached", again, attributes, {.threads = 3});
    EXPECT_TRUE(three[0].same_bits(outputs[0]));
    EXPECT_TRUE(again[1].same_bits(inputs[1]));
    test::expect_close(outputs[0], wanted, c.dtype == DType::kBf16 ? 1e-2 : 1e-5,
                       "position " + std::to_string(t));
    cache = inputs[1];
    t += count;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionCachedTest,
                         testing::Values(CachedCase{DType::kF32, 1, 12, 1, 1, 8, 1},
                                         CachedCase{DType::kF32, 2, 41, 4, 2, 80, 33},
                                         CachedCase{DType::kF32, 1, 9, 6, 1, 13, 4},
                                         CachedCase{DType::kF32, 1, 275, 2, 1, 128, 270},
                                         CachedCase{DType::kF32, 1, 30, 5, 1, 256, 27},
                                         CachedCase{DType::kBf16, 2, 21, 4, 2, 64, 17},
                                         CachedCase{DType::kBf16, 1, 140, 2, 1, 128, 135},
                                         CachedCase{DType::kBf16, 2, 530, 6, 1, 64, 525},
                                         CachedCase{DType::kBf16, 1, 15, 2, 1, 13, 10}));

/// A later prompt is appended to a cache that holds one already.
TEST(AttentionCached, APromptMayFollowAnother) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    const Case c{dtype, 1, 100, 2, 1, 64, false, 0};
    const OpCheck full = check_of(c);
    Values inputs = test::values_of(full.inputs);
    const std::vector<double> expected = full.reference(inputs)[0];
    HostTensor cache({dtype, Shape{1, 2, 128, 64}});
    for (const std::int64_t first : {0, 30}) {
      const std::int64_t count = first == 0 ? 30 : 70;
      const auto rows = [&](const std::vector<double>& of, std::int64_t width) {
        return std::vector<double>(of.begin() + first * width,
                                   of.begin() + (first + count) * width);
      };
      StepScalars scalars;
      scalars.cache_length = first;
      std::vector<HostTensor> use;
      use.emplace_back(TensorType{dtype, Shape{1, count, 256}}, rows(inputs[0], 256));
      use.push_back(cache);
      use.push_back(HostTensor::of_struct(scalars));
      const auto outputs = test::run_op(registry(), "attention_cached", use,
                                        {{"heads", c.heads}, {"kv_heads", c.kv_heads}});
      test::expect_close(outputs[0], rows(expected, 128), dtype == DType::kBf16 ? 1e-2 : 1e-5,
                         "prompt at " + std::to_string(first));
      cache = use[1];
    }
  }
}

TEST(AttentionCached, PositionsPastTheCacheAreNeitherWrittenNorRead) {
  const std::int64_t capacity = 6;
  StepScalars scalars;
  scalars.cache_length = 4;
  std::mt19937 generator(3);
  for (const std::int64_t length : {4, 6, 100}) {
    scalars.cache_length = length;
    std::vector<HostTensor> inputs;
    inputs.push_back(HostTensor::random({DType::kF32, Shape{2, 5, 24}}, generator));
    inputs.push_back(HostTensor::random({DType::kF32, Shape{2, 2, capacity, 8}}, generator));
    inputs.push_back(HostTensor::of_struct(scalars));
    const auto outputs = test::run_op(registry(), "attention_cached", inputs,
                                      {{"heads", std::int64_t{1}}, {"kv_heads", std::int64_t{1}}});
    for (const double value : outputs[0].values()) EXPECT_TRUE(std::isfinite(value));
  }
}

}  // namespace
}  // namespace ingot
