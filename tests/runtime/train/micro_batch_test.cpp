// The search for a micro batch, and what batch.micro: auto decides.
#include "runtime/train/micro_batch.hpp"

#include <gmock/gmock.h>

#include "runtime/config/load.hpp"
#include "runtime/config/validate.hpp"
#include "tests/runtime/train/plan_cases.hpp"

namespace ingot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int64_t> listed(const MicroCandidates& candidates, std::int64_t most = 100) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < std::min(most, candidates.count); ++i) {
    values.push_back(candidates.at(i));
  }
  return values;
}

TEST(MicroCandidates, AreDivisorsOfARanksShare) {
  Config config = test::tiny_gpt(false);
  config.batch.global = 36;
  EXPECT_THAT(listed(micro_candidates(config, 3, true)), ElementsAre(1, 2, 3, 4, 6, 12));
  config.batch.global = 7;
  EXPECT_THAT(listed(micro_candidates(config, 7, true)), ElementsAre(1));
}

TEST(MicroCandidates, AreNumbersOrPowersOfTwoWithoutAGlobalBatch) {
  Config config = test::tiny_gpt(false);
  config.batch.global = 0;
  EXPECT_THAT(listed(micro_candidates(config, 3, false), 4), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(listed(micro_candidates(config, 3, true), 4), ElementsAre(1, 2, 4, 8));
  config.model.context = 1 << 20;
  EXPECT_THAT(listed(micro_candidates(config, 1, true)).back(), 2048)
      << "2^31 tokens are the most of one pass";
}

TEST(LargestMicro, IsFoundFromFewPlansNoneMuchTooLarge) {
  Config config = test::tiny_gpt(false);
  config.batch.global = 0;
  const MicroCandidates all = micro_candidates(config, 1, false);
  for (const std::int64_t largest : {1, 2, 3, 4, 5, 97, 1000, 65536}) {
    int plans = 0;
    std::int64_t most = 0;
    const MicroFit fit = largest_micro(all, 10 * largest + 9, [&](std::int64_t micro) {
      ++plans;
      most = std::max(most, micro);
      return 10 * micro;
    });
    EXPECT_EQ(fit.micro, largest);
    EXPECT_EQ(fit.bytes, 10 * largest);
    EXPECT_LE(plans, 36);
    EXPECT_LE(most, 2 * largest);
  }
  const MicroFit none = largest_micro(all, 9, [](std::int64_t micro) { return 10 * micro; });
  EXPECT_EQ(none.micro, 0);
  EXPECT_EQ(none.bytes, 10) << "what the smallest takes";
}

/// Decides for one rank as `ingot train` does.
class AutoMicro : public testing::Test {
 protected:
  AutoMicro() : device_(test::make_device(cpu_device_, 1)) {
    test::register_test_ops(registry_);
    config_ = test::tiny_gpt(false);
    config_.batch.micro = kAutoMicro;
    config_.data.train = "not opened";
    config_.train.steps = 100;
  }

  std::int64_t bytes_with(std::int64_t micro) {
    Config config = config_;
    config.batch.global = 0;
    return bytes_with_micro(inputs(config), micro);
  }
  PlanInputs inputs(const Config& config) {
    return {config, {.vocabulary = 29}, registry_, device_, {}};
  }
  std::string choose(std::int64_t available) {
    SingleRank exchange;
    return choose_micro_batch(config_, inputs(config_), {available, "no checkpoints"}, exchange);
  }
  std::string refusal(std::int64_t available) {
    try {
      choose(available);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfiguration);
      return error.what();
    }
    return "accepted";
  }

  std::unique_ptr<cpu::CpuDevice> cpu_device_;
  Device& device_;
  Registry registry_;
  Config config_;
};

TEST_F(AutoMicro, IsTheLargestPowerOfTwoThatFits) {
  const std::int64_t available = bytes_with(8);
  EXPECT_THAT(choose(available), HasSubstr("batch.micro: auto is 8 (the largest that fits)"));
  EXPECT_EQ(config_.batch, (BatchConfig{8, 8, 0}));
}

TEST_F(AutoMicro, LeavesAByteTooFewToTheNextSmallerOne) {
  choose(bytes_with(8) - 1);
  EXPECT_EQ(config_.batch, (BatchConfig{4, 4, 0}));
}

TEST_F(AutoMicro, DividesTheGlobalBatch) {
  config_.batch.global = 18;
  choose(bytes_with(8));
  EXPECT_EQ(config_.batch, (BatchConfig{6, 18, 0}));
}

TEST_F(AutoMicro, IsWrittenDownAsANumberThatReadsBack) {
  config_.batch.memory = bytes_with(4);
  config_.origins.places["batch.memory"] = "x.yaml:1:1";
  choose(config_.batch.memory);
  EXPECT_EQ(parse_config_text(render_yaml(config_), "again").batch, (BatchConfig{4, 4, 0}));
}

TEST_F(AutoMicro, RefusesAMemoryThatIsTooSmallOrUnknown) {
  EXPECT_THAT(refusal(bytes_with(1) - 1), HasSubstr("even with 1 a rank needs"));
  EXPECT_THAT(refusal(0), HasSubstr("set batch.memory"));
  config_.batch.memory = 100;
  EXPECT_THAT(refusal(100), HasSubstr("and it may have 100 B (batch.memory)"));
}

/// A CPU with so much memory left.
class SmallDevice final : public cpu::CpuDevice {
 public:
  explicit SmallDevice(std::int64_t bytes) : CpuDevice(1), bytes_(bytes) {}
  std::int64_t available_bytes() const override { return bytes_; }

 private:
  std::int64_t bytes_;
};

TEST_F(AutoMicro, IsAdvisedWhereARunDoesNotFit) {
  if (test::on_cuda()) GTEST_SKIP() << "plans of the CPU";
  SmallDevice small(bytes_with(5));
  EngineOptions options{config_, {.vocabulary = 29}};
  options.config.batch.micro = 5;
  EXPECT_NO_THROW(Engine(options, registry_, small, nullptr));
  // What the communicator took before is no longer free, and part of what the run takes.
  options.exchange_bytes = 3 << 20;
  EXPECT_NO_THROW(Engine(options, registry_, small, nullptr));
  options.config.batch.micro = 6;
  try {
    Engine engine(options, registry_, small, nullptr);
    FAIL() << "it does not fit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kGpu);
    EXPECT_THAT(error.what(), HasSubstr("The largest batch.micro that fits is 5.\n  parameters"));
    EXPECT_THAT(error.what(), HasSubstr("\n  activations "));
    EXPECT_THAT(error.what(), HasSubstr("\n  small exchanges     3.00 MiB"));
  }
}

}  // namespace
}  // namespace ingot
