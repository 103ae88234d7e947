#include "runtime/config/load.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "ops/base/error.hpp"
#include "ops/base/file.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_config_text(text, "configs/x.yaml", overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration) << error.what();
    return error.what();
  }
  return "accepted";
}

TEST(LoadConfig, ReadsKeysAndKeepsDefaults) {
  const Config config = parse_config_text("train: {steps: 7}\nrun: {private: true}\n", "x.yaml");
  Config expected;
  expected.train.steps = 7;
  expected.run.private_ = true;
  EXPECT_EQ(config, expected);
  EXPECT_EQ(config.origins.places.at("train.steps"), "x.yaml:1:9");
}

TEST(LoadConfig, MisspeltKeysNameFileLineColumnAndTheNearestKey) {
  EXPECT_EQ(refusal("train: {steps: 1}\nmodle:\n  kind: gpt\n"),
            "configs/x.yaml:2:1: unknown key 'modle'; did you mean 'model'?");
  EXPECT_EQ(refusal("train:\n  learning_rate: 1\n"),
            "configs/x.yaml:2:3: unknown key 'learning_rate' in 'train'; did you mean "
            "'optimizer.learning_rate'?");
}

TEST(LoadConfig, KeysOfLaterVersionsAreNotAvailable) {
  for (const char* key : {"check", "environment.require_bare_metal"}) {
    const std::string message = refusal("train: {steps: 1}\n", {std::string(key) + "=x"});
    EXPECT_THAT(message, HasSubstr("is not available in this version")) << key;
  }
  EXPECT_THAT(refusal("train: {on_nonfinite: rollback}\n"), HasSubstr("not available"));
}

TEST(LoadConfig, OverridesComeLast) {
  const std::vector<std::string> overrides = {"train.steps=9", "data.train=a b.h5",
                                              "train.steps=11"};
  const Config config = parse_config_text("train: {steps: 7}\n", "x.yaml", overrides);
  EXPECT_EQ(config.train.steps, 11);
  EXPECT_EQ(config.data.train, "a b.h5");
  EXPECT_EQ(config.origins.places.at("train.steps"), "command line: train.steps=11");
  EXPECT_THAT(refusal("", {"train.steps=abc"}), HasSubstr("empty document"));
  EXPECT_THAT(refusal("run: {}\n", {"train.steps=abc"}),
              HasSubstr("command line: train.steps=abc: expected integer"));
}

TEST(LoadConfig, ActivationsOfPluginsAreNamedBehindAPrefix) {
  const Config config = parse_config_text("model: {activation: custom:mine}\n", "x.yaml");
  EXPECT_EQ(config.model.activation, "custom:mine");
  EXPECT_EQ(parse_config_text(render_yaml(config), "x"), config) << render_yaml(config);
  for (const char* text : {"custom:", "custom", "my:mine"}) {
    EXPECT_THAT(refusal("run: {}\n", {fmt::format("model.activation=\"{}\"", text)}),
                HasSubstr("expected gelu, swiglu, relu or custom:NAME"))
        << text;
  }
}

TEST(LoadConfig, FilesThatCannotBeReadSaySo) {
  try {
    load_config("/nonexistent/job.yaml");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/job.yaml: cannot open"));
  }
}

TEST(LoadConfig, RenderedConfigurationReadsBackEqual) {
  Config gpt;
  gpt.run = {"a", "some where/\"x\"", 18446744073709551615U, true};
  gpt.data.mixture = {{"a.h5", 0.25}, {"b c.h5", 3}};
  gpt.model.positions = "rope";
  gpt.model.rope_base = 5e5;
  gpt.train = {.steps = 3, .tokens = 1234567, .epochs = 0.1, .wall_time = 90.5};
  gpt.optimizer.learning_rate = 1.0 / 3;
  gpt.schedule.kind = "wsd";
  gpt.parallel.bucket = 123456;
  gpt.plugins = {"./a.so"};
  EXPECT_EQ(parse_config_text(render_yaml(gpt), "x"), gpt) << render_yaml(gpt);
  Config mlp;
  mlp.model.kind = "mlp";
  mlp.model.hidden_layers = {};
  mlp.optimizer.kind = "sgd";
  EXPECT_EQ(parse_config_text(render_yaml(mlp), "x"), mlp) << render_yaml(mlp);
  EXPECT_EQ(render_yaml(parse_config_text(render_yaml(mlp), "x")), render_yaml(mlp));
}

TEST(LoadConfig, DefaultsOfPathsFollowOtherKeys) {
  Config config;
  config.run.name = "a";
  config.data.train = "data/bible.v2.h5";
  EXPECT_EQ(run_directory(config), "runs/a");
  EXPECT_EQ(validation_path(config), "data/bible.v2.validation.h5");
  config.run.dir = "elsewhere";
  config.data.validation = "v.h5";
  EXPECT_EQ(run_directory(config), "elsewhere");
  EXPECT_EQ(validation_path(config), "v.h5");
  EXPECT_EQ(validation_path(Config{}), "");
}

TEST(LoadConfig, ReferencePageIsTheOneInTheTree) {
  const std::string path = std::string(INGOT_SOURCE_DIR) + "/configs/REFERENCE.md";
  EXPECT_TRUE(read_file(path, 1 << 20) == reference_markdown())
      << "run `ingot config reference > configs/REFERENCE.md`; the page should be:\n"
      << reference_markdown();
}

}  // namespace
}  // namespace ingot
