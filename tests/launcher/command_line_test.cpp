// The command line: exit codes, hints, and the generated reference.
#include "launcher/command_line.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace ingot {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::internal::CaptureStderr;
using testing::internal::CaptureStdout;
using testing::internal::GetCapturedStderr;
using testing::internal::GetCapturedStdout;

struct CommandRun {
  int code = 0;
  std::string out;
  std::string error;
};

CommandRun run(const std::vector<std::string>& arguments) {
  CaptureStdout();
  CaptureStderr();
  CommandRun result;
  result.code = run_command_line(arguments);
  result.out = GetCapturedStdout();
  result.error = GetCapturedStderr();
  return result;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(CommandsPage, EqualsWhatTheProgramParses) {
  EXPECT_EQ(read_all(INGOT_SOURCE_DIR "/launcher/COMMANDS.md"), commands_markdown())
      << "write it anew: ingot help --markdown > launcher/COMMANDS.md";
}

TEST(CommandsPage, ListsEveryCommandWithItsOptions) {
  const std::string page = commands_markdown();
  for (const CommandEntry& entry : command_table()) {
    EXPECT_THAT(page, HasSubstr(std::string("## ingot ") + entry.name + "\n"));
  }
  EXPECT_THAT(page, AllOf(HasSubstr("`--allow-plugins`"), HasSubstr("`--temperature"),
                          HasSubstr("`CONFIG"), HasSubstr("`OVERRIDES")));
}

TEST(Help, IsThereForEveryCommandAndEndsWithZero) {
  EXPECT_THAT(run({"--help"}).out, AllOf(HasSubstr("train"), HasSubstr("mpirun")));
  for (const CommandEntry& entry : command_table()) {
    std::vector<std::string> words;
    std::istringstream name(entry.name);
    for (std::string word; name >> word;) words.push_back(word);
    words.push_back("--help");
    const CommandRun help = run(words);
    EXPECT_EQ(help.code, 0) << entry.name;
    EXPECT_THAT(help.out, HasSubstr(entry.summary)) << entry.name;
    words.pop_back();
    words.insert(words.begin(), "help");
    EXPECT_THAT(run(words).out, AllOf(HasSubstr(entry.summary),
                                      HasSubstr(fmt::format("Usage: ingot {} ", entry.name))))
        << entry.name;
  }
}

TEST(Help, OfTheProgramListsTheCommands) {
  EXPECT_EQ(run({"help"}).out, run({"--help"}).out);
  EXPECT_THAT(run({"help"}).out, AllOf(HasSubstr("Usage: ingot "), HasSubstr("evaluate")));
}

TEST(Version, IsPrinted) {
  const CommandRun version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_THAT(version.out, HasSubstr("ingot "));
}

TEST(Mistakes, EndWith64AndAHint) {
  const CommandRun command = run({"trian", "x.yaml"});
  EXPECT_EQ(command.code, 64);
  EXPECT_THAT(command.error, AllOf(HasSubstr("error: "), HasSubstr("did you mean 'train'"),
                                   HasSubstr("ingot --help")));
  const CommandRun option = run({"generate", "runs/x", "--promt", "hello"});
  EXPECT_EQ(option.code, 64);
  EXPECT_THAT(option.error,
              AllOf(HasSubstr("did you mean '--prompt'"), HasSubstr("ingot generate --help")));
  EXPECT_THAT(run({"data", "imprt", "x"}).error, HasSubstr("'imprt'; did you mean 'import'"));
  EXPECT_EQ(run({}).code, 64);
  EXPECT_EQ(run({"train"}).code, 64);
  EXPECT_EQ(run({"data"}).code, 64);
  EXPECT_EQ(run({"generate", "runs/x", "--tokens", "many"}).code, 64);
  EXPECT_EQ(run({"generate", "runs/x", "--temperature", "-1"}).code, 64);
  EXPECT_EQ(run({"evaluate", "runs/x", "--thresholds", "0.5,7"}).code, 64);
  EXPECT_EQ(run({"data", "import", "in.txt", "out.h5", "--split", "middle"}).code, 64);
  EXPECT_EQ(run({"data", "import", "in.txt"}).code, 64);
  EXPECT_EQ(run({"bench", "ops", "--op", "liner"}).code, 64);
  EXPECT_EQ(run({"help", "trian"}).code, 64);
}

TEST(Errors, ArePrintedOnceWithTheirOwnCode) {
  const CommandRun missing = run({"data", "inspect", "/nowhere/x.h5"});
  EXPECT_EQ(missing.code, 65);
  EXPECT_THAT(missing.error, HasSubstr("error: /nowhere/x.h5"));
  EXPECT_EQ(run({"config", "check", "/nowhere/x.yaml"}).code, 78);
}

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "ingot-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~Files() override { std::filesystem::remove_all(folder_); }
  std::string operator()(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream((*this)(name)) << text;
  }
  std::string folder_;
};

TEST_F(Files, OfTextBecomeADataSetThatInspectDescribes) {
  write("text.txt", "first document\n\n\nsecond document\n\n\nthird one\n\n\nfourth one\n");
  const CommandRun made =
      run({"data", "import", (*this)("text.txt"), (*this)("out.h5"), "--validation", "0.25"});
  EXPECT_EQ(made.code, 0) << made.error;
  EXPECT_THAT(made.out, AllOf(HasSubstr("out.h5: training, 3 documents"),
                              HasSubstr("out.validation.h5: validation, 1 documents")));
  EXPECT_THAT(run({"data", "inspect", (*this)("out.h5")}).out, HasSubstr("bytes"));
}

TEST_F(Files, TrainATokenizerThatImportUses) {
  write("text.txt", "the cat and the hat and the cat\n\n\nthe other cat and hat\n");
  const CommandRun trained = run(
      {"data", "train-tokenizer", (*this)("text.txt"), (*this)("t.json"), "--vocabulary", "270"});
  EXPECT_EQ(trained.code, 0) << trained.error;
  const CommandRun made = run({"data", "import", (*this)("text.txt"), (*this)("out.h5"),
                               "--tokenizer", (*this)("t.json"), "--validation", "0"});
  EXPECT_EQ(made.code, 0) << made.error;
  EXPECT_THAT(run({"data", "inspect", (*this)("out.h5")}).out, HasSubstr("bpe"));
}

TEST_F(Files, OfConfigurationAreShownSoThatTheyReadBack) {
  write("job.yaml", "data: {train: x.h5}\ntrain: {steps: 10}\n");
  const CommandRun shown = run({"config", "show", (*this)("job.yaml"), "model.width=192"});
  EXPECT_EQ(shown.code, 0) << shown.error;
  EXPECT_THAT(shown.out, HasSubstr("width: 192"));
  write("shown.yaml", shown.out);
  EXPECT_EQ(run({"config", "show", (*this)("shown.yaml")}).out, shown.out);
  EXPECT_EQ(run({"config", "check", (*this)("job.yaml"), "model.widht=192"}).code, 78);
  EXPECT_THAT(run({"config", "check", (*this)("job.yaml"), "model.widht=192"}).error,
              HasSubstr("width"));
}

TEST_F(Files, OfTuningAreWrittenByBenchOps) {
  const CommandRun bench = run({"bench", "ops", "--threads", "1", "--seconds", "0.001", "--op",
                                "gelu,linear", "--tuning", (*this)("tuning.yaml")});
  EXPECT_EQ(bench.code, 0) << bench.error;
  EXPECT_THAT(bench.out, AllOf(HasSubstr("matrix peak"), HasSubstr("gelu"), HasSubstr("linear")));
  EXPECT_THAT(read_all((*this)("tuning.yaml")), AllOf(HasSubstr("matrix_f32"), HasSubstr("gelu")));
}

}  // namespace
}  // namespace ingot
