#include "runtime/data/import.hpp"

#include <gmock/gmock.h>

#include "runtime/data/inspect.hpp"
#include "runtime/data/token_dataset.hpp"
#include "tests/runtime/data/temporary_folder.hpp"

namespace ingot {
namespace {

using testing::HasSubstr;

std::string text_of(const std::string& path) {
  const TokenDataset set = TokenDataset::open(path);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(set.size()));
  set.copy(0, tokens);
  const std::vector<std::uint32_t> ids(tokens.begin(), tokens.end());
  return restore_tokenizer(set.header().tokenizer)->decode(ids);
}

std::vector<std::int32_t> tokens_of(const std::string& path) {
  const TokenDataset set = TokenDataset::open(path);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(set.size()));
  set.copy(0, tokens);
  return tokens;
}

class ImportTest : public testing::Test {
 protected:
  const TemporaryFolder folder_;
  const std::unique_ptr<Tokenizer> bytes_ = load_tokenizer("bytes");
  const std::string out_ = folder_.file("out.h5");
  const std::string validation_ = folder_.file("out.validation.h5");
  ImportOptions options_;
};

TEST_F(ImportTest, CutsALoneTextAtALineForValidation) {
  std::string text;
  for (int line = 0; line < 200; ++line) text += "line " + std::to_string(line) + " \xff ä\n";
  const auto report = import_text({folder_.write("a.txt", text)}, out_, *bytes_, options_);
  EXPECT_EQ(report.train.path, out_);
  EXPECT_EQ(report.validation.path, validation_);
  EXPECT_EQ(report.train.items, 1);
  const TokenDataset train = TokenDataset::open(out_);
  const TokenDataset validation = TokenDataset::open(validation_);
  EXPECT_EQ(report.train.tokens, train.size());
  EXPECT_EQ(train.vocabulary(), bytes_->vocabulary());
  EXPECT_EQ(train.header().source, "a.txt");
  EXPECT_EQ(train.header().source_checksum, validation.header().source_checksum);
  EXPECT_NEAR(static_cast<double>(validation.size()), 0.05 * static_cast<double>(text.size()), 20);
  // Both parts end with the end-of-text token, where the tokenizer has one.
  std::string joined;
  for (const std::string& path : {out_, validation_}) {
    auto tokens = tokens_of(path);
    if (bytes_->end_of_text()) {
      EXPECT_EQ(tokens.back(), static_cast<std::int32_t>(*bytes_->end_of_text()));
      tokens.pop_back();
    }
    joined += bytes_->decode(std::vector<std::uint32_t>(tokens.begin(), tokens.end()));
  }
  EXPECT_EQ(joined, text);
}

TEST_F(ImportTest, SplitsTextAtSeparatorsByWholeDocuments) {
  std::string text;
  for (int document = 0; document < 100; ++document) {
    text += "document " + std::to_string(document) + "\n\n\n";
  }
  options_.validation = 0.1;
  const std::string path = folder_.write("a.txt", text);
  const auto report = import_text({path}, out_, *bytes_, options_);
  EXPECT_EQ(report.train.items, 90);
  EXPECT_EQ(report.validation.items, 10);
  EXPECT_EQ(TokenDataset::open(out_).document_count(), 90);
  const std::string first = text_of(validation_);
  import_text({path}, out_, *bytes_, options_);
  EXPECT_EQ(text_of(validation_), first) << "the split is a function of the seed";
  options_.seed = 2;
  import_text({path}, out_, *bytes_, options_);
  EXPECT_NE(text_of(validation_), first);
  options_.split = SplitRule::kEnd;
  import_text({path}, out_, *bytes_, options_);
  EXPECT_THAT(text_of(validation_), HasSubstr("document 90"));
  EXPECT_THAT(text_of(out_), testing::Not(HasSubstr("document 90")));
}

TEST_F(ImportTest, WritesNoValidationWhereNoneIsWanted) {
  const std::string path = folder_.write("a.txt", "one\n\n\ntwo");
  import_text({path}, out_, *bytes_, options_);
  EXPECT_TRUE(std::filesystem::exists(validation_));
  options_.validation = 0;
  const auto report = import_text({path}, out_, *bytes_, options_);
  EXPECT_TRUE(report.validation.path.empty());
  EXPECT_FALSE(std::filesystem::exists(validation_)) << "that of the import before is stale";
  options_.validation = 1;
  error_of(ExitCode::kUsage, [&] { import_text({path}, out_, *bytes_, options_); });
}

TEST_F(ImportTest, RefusesInputsWithNothingInThem) {
  EXPECT_THAT(error_of(ExitCode::kBadData,
                       [&] { import_text({folder_.write("empty", "")}, out_, *bytes_, options_); }),
              HasSubstr("empty"));
  error_of(ExitCode::kBadData,
           [&] { import_text({folder_.write("blank", " \n\n")}, out_, *bytes_, options_); });
  error_of(ExitCode::kBadData,
           [&] { import_text({folder_.file("none")}, out_, *bytes_, options_); });
}

TEST_F(ImportTest, ReadsJsonLines) {
  std::string lines;
  for (int i = 0; i < 20; ++i) {
    lines += R"({"id": 1, "text": "caf\u00e9 )" + std::to_string(i) + "\\n\"}\n";
  }
  options_.split = SplitRule::kEnd;
  const auto report = import_json_lines({folder_.write("a.jsonl", lines)}, out_, *bytes_, options_);
  EXPECT_EQ(report.train.items, 19);
  EXPECT_THAT(text_of(validation_), HasSubstr("caf\u00e9 19\n"));
}

TEST_F(ImportTest, NamesTheLineOfBadJson) {
  const auto message = [&](const std::string& line) {
    const std::string path =
        folder_.write("a.jsonl", "{\"text\": \"a\"}\n\n" + line + "\n{\"text\": \"b\"}\n");
    return error_of(ExitCode::kBadData,
                    [&] { import_json_lines({path}, out_, *bytes_, options_); });
  };
  EXPECT_THAT(message("{\"text\": "), HasSubstr("a.jsonl:3: not JSON"));
  EXPECT_THAT(message("{\"txt\": \"a\"}"), HasSubstr("a.jsonl:3: no field \"text\""));
  EXPECT_THAT(message("{\"text\": 5}"), HasSubstr("a.jsonl:3: \"text\" is of type number"));
  EXPECT_THAT(message("[1]"), HasSubstr("a.jsonl:3: no object"));
  EXPECT_THAT(message(std::string(100000, '[')), HasSubstr("a.jsonl:3: not JSON"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string llmc_header(std::int32_t magic, std::int32_t version, std::int32_t count) {
  std::vector<std::int32_t> header(256);
  header[0] = magic;
  header[1] = version;
  header[2] = count;
  return raw(header);
}

TEST_F(ImportTest, ReadsTokenFilesOfLlmC) {
  const std::vector<std::uint16_t> tokens = {50256, 1, 2, 50256, 3, 50256, 4, 5};
  const std::string path = folder_.write("gpt2.bin", llmc_header(20240520, 1, 8) + raw(tokens));
  EXPECT_EQ(guess_format(path), ImportFormat::kLlmc);
  options_.split = SplitRule::kEnd;
  import_tokens(ImportFormat::kLlmc, {path}, out_, nullptr, options_);
  const TokenDataset train = TokenDataset::open(out_);
  EXPECT_EQ(train.vocabulary(), 50257);
  EXPECT_EQ(train.header().end_of_text, 50256U);
  EXPECT_EQ(train.document_count(), 2);
  EXPECT_THAT(tokens_of(out_), testing::ElementsAre(50256, 1, 2, 50256, 3));
  EXPECT_THAT(tokens_of(validation_), testing::ElementsAre(50256, 4, 5));

  const std::vector<std::uint32_t> wide = {128000, 100000, 7};
  const std::string llama = folder_.write("llama.bin", llmc_header(20240801, 7, 3) + raw(wide));
  options_.validation = 0;
  import_tokens(ImportFormat::kLlmc, {llama}, out_, nullptr, options_);
  EXPECT_THAT(tokens_of(out_), testing::ElementsAre(128000, 100000, 7));
}

TEST_F(ImportTest, RefusesBrokenTokenFilesOfLlmC) {
  const std::vector<std::uint16_t> tokens = {1, 2, 3};
  const auto message = [&](const std::string& bytes) {
    const std::string path = folder_.write("a.bin", bytes);
    return error_of(ExitCode::kBadData,
                    [&] { import_tokens(ImportFormat::kLlmc, {path}, out_, nullptr, options_); });
  };
  EXPECT_THAT(message("short"), HasSubstr("header of 1024 bytes"));
  EXPECT_THAT(message(llmc_header(20240520, 2, 3) + raw(tokens)), HasSubstr("version 2"));
  EXPECT_THAT(message(llmc_header(20240520, 1, 4) + raw(tokens)), HasSubstr("holds 3"));
  EXPECT_THAT(message(llmc_header(20240520, 1, -1) + raw(tokens)), HasSubstr("-1 tokens"));
  EXPECT_THAT(message(llmc_header(20240520, 1, 1) + raw(std::vector<std::uint16_t>{60000})),
              HasSubstr("is 60000, outside the vocabulary of 50257"));
}

TEST_F(ImportTest, ReadsTokenFilesOfNanoGpt) {
  const std::vector<std::uint16_t> tokens = {1, 2, 9, 3, 9, 4, 5};
  const std::string path = folder_.write("train.bin", raw(tokens));
  EXPECT_EQ(guess_format(path), ImportFormat::kNanoGpt);
  EXPECT_THAT(
      error_of(ExitCode::kUsage,
               [&] { import_tokens(ImportFormat::kNanoGpt, {path}, out_, nullptr, options_); }),
      HasSubstr("vocabulary"));
  options_.vocabulary = 10;
  options_.end_of_text = 9;
  options_.split = SplitRule::kEnd;
  import_tokens(ImportFormat::kNanoGpt, {path}, out_, nullptr, options_);
  EXPECT_THAT(tokens_of(out_), testing::ElementsAre(1, 2, 9, 3, 9));
  EXPECT_EQ(TokenDataset::open(out_).document_start(1), 3);
  EXPECT_THAT(tokens_of(validation_), testing::ElementsAre(4, 5));
}

TEST_F(ImportTest, GuessesFormats) {
  EXPECT_EQ(guess_format(folder_.write("a.jsonl", "x")), ImportFormat::kJsonLines);
  EXPECT_EQ(guess_format(folder_.write("a.csv", "x")), ImportFormat::kCsv);
  EXPECT_EQ(guess_format(folder_.write("a.txt", "x")), ImportFormat::kText);
  EXPECT_EQ(format_of("nanogpt"), ImportFormat::kNanoGpt);
  EXPECT_EQ(format_of("parquet"), std::nullopt);
}

TEST_F(ImportTest, InspectShowsWhatWasImported) {
  import_text({folder_.write("genesis.txt", "In the beginning\a\n\n\nsecond\n\n\nthird")}, out_,
              *bytes_, options_);
  const std::string report = inspect_dataset(out_);
  EXPECT_THAT(report, HasSubstr("documents        2"));
  EXPECT_THAT(report, HasSubstr("tokenizer        bytes"));
  EXPECT_THAT(report, HasSubstr("genesis.txt"));
  EXPECT_THAT(report, HasSubstr("document lengths"));
  EXPECT_EQ(report.find('\a'), std::string::npos) << "control characters are escaped";
}

}  // namespace
}  // namespace ingot
