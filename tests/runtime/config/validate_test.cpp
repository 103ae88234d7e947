#include "runtime/config/validate.hpp"

#include <gmock/gmock.h>

#include "ops/base/error.hpp"
#include "runtime/config/load.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;

/// What validate() says about a small valid job with these overrides.
std::string refusal(const std::vector<std::string>& overrides, int ranks = 2) {
  const Config config =
      parse_config_text("data: {train: a.h5}\ntrain: {steps: 100}\n", "x.yaml", overrides);
  try {
    validate(config, ranks);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(Validate, AcceptsWhatFitsTogether) {
  EXPECT_EQ(refusal({}), "accepted");
  EXPECT_EQ(refusal({"model.kind=mlp", "model.embedding=8"}), "accepted");
  EXPECT_EQ(refusal({"model.positions=rope", "model.rope_base=5e5", "model.kv_heads=2"}),
            "accepted");
}

TEST(Validate, EveryConfigurationOfTheTreeRunsOnOneToEightRanks) {
  for (const char* name : {"gpt-text", "gpt2-124m", "llama-style", "fraud"}) {
    const Config config = load_config(std::string(INGOT_SOURCE_DIR) + "/configs/" + name + ".yaml");
    for (const int ranks : {1, 2, 4, 8}) EXPECT_NO_THROW(validate(config, ranks)) << name;
    EXPECT_EQ(parse_config_text(render_yaml(config), "x"), config) << name;
  }
}

TEST(Validate, HeadsDivideTheWidth) {
  EXPECT_EQ(refusal({"model.heads=7"}),
            "command line: model.heads=7: model.heads: 7 heads do not divide model.width 384; the "
            "nearest number that does is 6");
  EXPECT_THAT(refusal({"model.kv_heads=4"}), HasSubstr("do not divide model.heads 6"));
  EXPECT_THAT(refusal({"model.kv_heads=12"}), HasSubstr("the nearest number that does is 6"));
  EXPECT_THAT(refusal({"model.width=18", "model.positions=rope"}), HasSubstr("make it even"));
}

TEST(Validate, AMicroBatchThatIsChosenNeedsAShareOfTheGlobalBatch) {
  EXPECT_EQ(refusal({"batch.micro=auto"}), "accepted");
  EXPECT_EQ(refusal({"batch.micro=auto", "batch.memory=8GiB", "batch.global=10"}), "accepted");
  EXPECT_EQ(refusal({"batch.micro=auto", "batch.global=10"}, 4),
            "command line: batch.global=10: batch.global: 10 is not a multiple of the 4 ranks; the "
            "nearest one is 8");
  EXPECT_THAT(refusal({"batch.memory=8GiB"}), HasSubstr("means nothing where batch.micro is 4"));
  EXPECT_EQ(
      refusal({"batch.micro=auto", "train.tokens=1000", "train.steps=0", "schedule.warmup=100"}),
      "accepted")
      << "how many steps these tokens are is not known yet";
}

TEST(Validate, GlobalBatchIsAMultipleOfMicroTimesRanks) {
  EXPECT_EQ(refusal({"batch.global=17"}),
            "command line: batch.global=17: batch.global: 17 is not a multiple of batch.micro x "
            "ranks = 4 x 2 = 8; the nearest one is 16");
  EXPECT_THAT(refusal({"batch.global=23"}), HasSubstr("the nearest one is 24"));
  EXPECT_THAT(refusal({"batch.global=1"}), HasSubstr("the nearest one is 8"));
  EXPECT_EQ(refusal({"batch.global=24"}), "accepted");
  EXPECT_THAT(refusal({"batch.global=24"}, 4), HasSubstr("16"));
}

TEST(Validate, AnOrderedReductionTakesNothingThatRanksOrTheWireDecide) {
  const std::string ordered = "parallel.reduction=ordered";
  for (const int ranks : {1, 2, 3, 6, 8}) {
    EXPECT_EQ(refusal({ordered, "batch.global=96", "train.precision=bf16"}, ranks), "accepted");
  }
  EXPECT_EQ(refusal({ordered, "batch.global=96", "device=cuda"}, 3), "accepted");
  EXPECT_THAT(refusal({ordered, "batch.global=20"}, 3), HasSubstr("the nearest one is 24"));
  EXPECT_EQ(refusal({ordered, "parallel.wire=bf16"}),
            "command line: parallel.wire=bf16: parallel.wire: bf16 rounds gradients on their way, "
            "which parallel.reduction: ordered excludes; expected f32");
  EXPECT_THAT(refusal({ordered, "batch.micro=auto"}), HasSubstr("parallel.reduction: fast"));
}

TEST(Validate, NodesCanOnlyShareAStateThatIsSharded) {
  const std::string node = "parallel.shard_group=node";
  EXPECT_EQ(refusal({node, "parallel.shard=parameters"}), "accepted");
  EXPECT_THAT(refusal({node}), HasSubstr("means nothing where parallel.shard is none"));
  EXPECT_THAT(refusal({node, "parallel.shard=optimizer", "parallel.reduction=ordered"}),
              HasSubstr("node is not available with parallel.reduction: ordered"));
}

TEST(Validate, StepsThatAreReducedAtOnceNeedAPowerOfTwoOfRanksToBeOrdered) {
  const auto with = [](const char* shard, int ranks) {
    return refusal({"parallel.reduction=ordered", fmt::format("parallel.shard={}", shard),
                    fmt::format("batch.global={}", 12 * ranks)},
                   ranks);
  };
  for (const char* shard : {"gradients", "parameters"}) {
    for (const int ranks : {1, 2, 4, 8}) EXPECT_EQ(with(shard, ranks), "accepted");
    for (const int ranks : {3, 5}) EXPECT_THAT(with(shard, ranks), HasSubstr("nearest are"));
  }
  EXPECT_THAT(with("gradients", 7),
              HasSubstr("the nearest are 8, or use parallel.shard: optimizer"));
  EXPECT_THAT(with("parameters", 5), HasSubstr("the nearest are 4"));
  for (const int ranks : {3, 5, 6, 7}) EXPECT_EQ(with("optimizer", ranks), "accepted");
}

TEST(Validate, KeysOfTheOtherModelKindAreRefused) {
  EXPECT_EQ(refusal({"model.kind=mlp", "model.layers=3"}),
            "command line: model.layers=3: model.layers means nothing where model.kind is mlp; "
            "remove it, or set model.kind to gpt");
  EXPECT_THAT(refusal({"model.embedding=3"}), HasSubstr("set model.kind to mlp"));
  EXPECT_THAT(refusal({"model.kind=mlp", "train.tokens=1M"}),
              HasSubstr("train.tokens means nothing"));
  EXPECT_THAT(refusal({"model.kind=mlp", "model.activation=swiglu"}), HasSubstr("relu or gelu"));
  EXPECT_THAT(refusal({"model.activation=relu"}), HasSubstr("gelu or swiglu"));
  EXPECT_THAT(refusal({"model.rope_base=5e5"}), HasSubstr("model.positions is learned"));
  EXPECT_THAT(refusal({"optimizer.momentum=0.5"}), HasSubstr("set optimizer.kind to sgd"));
  EXPECT_THAT(refusal({"schedule.decay_fraction=0.5"}), HasSubstr("schedule.kind is cosine"));
}

TEST(Validate, ActivationsOfPluginsNeedAPlugin) {
  EXPECT_EQ(refusal({"model.activation=custom:mine"}),
            "command line: model.activation=custom:mine: model.activation: 'custom:mine' is an op "
            "of a plugin, but `plugins` names none; list the shared library that has it");
  EXPECT_EQ(refusal({"model.activation=custom:mine", "plugins=[./mine.so]"}), "accepted");
  EXPECT_THAT(refusal({"model.kind=mlp", "model.activation=custom:mine", "plugins=[./mine.so]"}),
              HasSubstr("expected relu or gelu"));
}

TEST(Validate, TrainingNeedsDataAndAnEnd) {
  EXPECT_THAT(refusal({"train.steps=0"}), HasSubstr("training has no end"));
  EXPECT_THAT(refusal({"data.train="}), HasSubstr("no training data"));
  EXPECT_THAT(refusal({"data.mixture=[{path: b.h5}]"}), HasSubstr("exactly one"));
  EXPECT_EQ(refusal({"data.train=", "data.mixture=[{path: b.h5}]"}), "accepted");
  EXPECT_THAT(refusal({"data.train=", "data.mixture=[{path: \"\"}]"}),
              HasSubstr("data.mixture[0].path"));
  EXPECT_THAT(refusal({"data.train=", "data.mixture=[{path: b.h5}]", "evaluate.every=5"}),
              HasSubstr("data.validation has to be set"));
}

TEST(Validate, SchedulesFitTheRun) {
  EXPECT_THAT(refusal({"schedule.warmup=100"}), HasSubstr("expected at most 99"));
  EXPECT_EQ(refusal({"schedule.kind=constant", "schedule.warmup=100"}), "accepted");
  EXPECT_THAT(refusal({"train.steps=0", "train.wall_time=90s"}), HasSubstr("needs a length"));
  EXPECT_EQ(refusal({"train.steps=0", "train.wall_time=90s", "schedule.steps=50"}), "accepted");
  EXPECT_THAT(refusal({"schedule.kind=wsd", "schedule.warmup=60", "schedule.decay_fraction=0.5"}),
              HasSubstr("lower one"));
  EXPECT_THAT(refusal({"train.steps=0", "train.tokens=2048", "schedule.warmup=5"}),
              HasSubstr("schedule's 1;"));
}

TEST(Validate, NamesOfRunsAreNamesOfFolders) {
  for (const char* name : {"", "a/b", "..", ".hidden", "a b"}) {
    EXPECT_THAT(refusal({fmt::format("run.name={}", name)}), HasSubstr("cannot name a run"))
        << name;
  }
}

TEST(Validate, OneStartOnly) {
  EXPECT_THAT(refusal({"init_from=a", "resume=b"}), HasSubstr("give one of the two"));
  EXPECT_EQ(refusal({"init_from=a"}), "accepted");
  EXPECT_THAT(refusal({"resume="}), HasSubstr("resume: is empty"));
  EXPECT_THAT(refusal({"plugins=[\"\"]"}), HasSubstr("plugins"));
}

TEST(Validate, CountsOfAStepFollowFromTheBatch) {
  Config config;
  config.batch = {4, 32};
  EXPECT_EQ(global_batch(config, 2), 32);
  EXPECT_EQ(accumulation_steps(config, 2), 4);
  config.batch.global = 0;
  EXPECT_EQ(global_batch(config, 2), 8);
  EXPECT_EQ(accumulation_steps(config, 2), 1);
}

}  // namespace
}  // namespace ingot
