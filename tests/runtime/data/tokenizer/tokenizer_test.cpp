// Tokenizers of all kinds: what Hugging Face gives, any bytes back, and broken files refused.
#include "runtime/data/tokenizer/tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

json recorded_cases() {
  std::ifstream file(INGOT_SOURCE_DIR "/tests/runtime/data/tokenizer/cases.json");
  return json::parse(file);
}

/// The smallest tokenizer.json: the bytes, "ab", and an end of text.
json small_file() {
  const auto tokenizer = restore_tokenizer(recorded_cases()["cases"][0]["tokenizer"].dump());
  json file = json::parse(tokenizer->serialise());
  json& vocabulary = file["model"]["vocab"];
  for (auto entry = vocabulary.begin(); entry != vocabulary.end();) {
    entry = entry.value() >= 256 ? vocabulary.erase(entry) : std::next(entry);
  }
  vocabulary["ab"] = 256;
  file["model"]["merges"] = {"a b"};
  file["added_tokens"] = json::array({{{"id", 257}, {"content", "<|endoftext|>"}}});
  return file;
}

/// The message of the bad-data error that `text` ends with as a tokenizer file.
std::string refusal(const std::string& text) {
  try {
    restore_tokenizer(text, "broken.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_THAT(error.what(), HasSubstr("broken.json"));
    return error.what();
  }
  return "was accepted";
}

class TokenizerFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "ingot-tokenizer-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  std::string refusal_of(const std::string& spec) const {
    try {
      load_tokenizer(spec);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadData);
      return error.what();
    }
    return "was accepted";
  }

  fs::path folder_;
};

TEST(ByteTokenizer, GivesEveryByteItsOwnId) {
  const auto tokenizer = load_tokenizer("bytes");
  EXPECT_EQ(tokenizer->vocabulary(), 257);
  EXPECT_EQ(tokenizer->end_of_text(), 256U);
  EXPECT_EQ(tokenizer->encode("a\xFF"), (std::vector<std::uint32_t>{97, 255}));
  EXPECT_EQ(tokenizer->decode(std::vector<std::uint32_t>{256, 97, 256, 255}), "a\xFF");
  EXPECT_EQ(restore_tokenizer(tokenizer->serialise())->kind(), "bytes");
}

TEST(Tokenizer, RefusesToDecodeIdsOutsideTheVocabulary) {
  EXPECT_THROW(load_tokenizer("bytes")->decode(std::vector<std::uint32_t>{257}), Error);
  const auto bpe = restore_tokenizer(small_file().dump());
  EXPECT_NO_THROW(bpe->decode(std::vector<std::uint32_t>{257}));
  EXPECT_THROW(bpe->decode(std::vector<std::uint32_t>{258}), Error);
}

TEST(ByteLevelBpe, EncodesAsHuggingFaceDoes) {
  const json recorded = recorded_cases();
  for (const json& each : recorded["cases"]) {
    const auto tokenizer = restore_tokenizer(each["tokenizer"].dump());
    EXPECT_EQ(tokenizer->kind(), "bpe");
    for (std::size_t index = 0; index < recorded["texts"].size(); ++index) {
      const std::string text = recorded["texts"][index];
      const auto expected = each["ids"][index].get<std::vector<std::uint32_t>>();
      EXPECT_EQ(tokenizer->encode(text), expected) << each["name"] << ": " << text;
      EXPECT_EQ(tokenizer->decode(expected), text) << each["name"];
    }
  }
}

TEST(ByteLevelBpe, GivesAnyBytesBack) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  const std::vector<std::string> pieces = {"a",
                                           "ab",
                                           " ",
                                           "\n",
                                           "\xC3",
                                           "\xA9",
                                           "\xF0\x9F",
                                           "\xFF",
                                           "'",
                                           "ll",
                                           "<|en",
                                           "1",
                                           "\0",
                                           "\xE4\xB8\xAD",
                                           "\r",
                                           "d",
                                           "\xC5",
                                           "\xBF",
                                           "<|endoftext|>"};
  const json recorded = recorded_cases();
  for (const json& each : recorded["cases"]) {
    const auto tokenizer = restore_tokenizer(each["tokenizer"].dump());
    for (int round = 0; round < 300; ++round) {
      std::string text;
      for (unsigned count = generator() % 40; count > 0; --count) {
        if (generator() % 2 == 0) {
          text += pieces[generator() % pieces.size()];
        } else {
          text += static_cast<char>(generator() % 256);
        }
      }
      const auto tokens = tokenizer->encode(text);
      ASSERT_EQ(tokenizer->decode(tokens), text) << each["name"];
      for (const auto token : tokens) ASSERT_LT(token, tokenizer->vocabulary());
    }
  }
}

TEST(ByteLevelBpe, ComesBackFromItsSerialisedTextWithTheSameText) {
  const json recorded = recorded_cases();
  for (const json& each : recorded["cases"]) {
    const auto tokenizer = restore_tokenizer(each["tokenizer"].dump());
    const std::string text = tokenizer->serialise();
    EXPECT_EQ(restore_tokenizer(text)->serialise(), text);
    EXPECT_EQ(restore_tokenizer(text)->encode("don't 1234"), tokenizer->encode("don't 1234"));
    EXPECT_EQ(tokenizer->end_of_text(), restore_tokenizer(text)->end_of_text());
    EXPECT_TRUE(tokenizer->end_of_text().has_value());
  }
}

TEST(ByteLevelBpe, MergesALongWordWithoutQuadraticWork) {
  // A word of 4 MB: quadratic merging would outlast any test's time limit.
  const auto tokenizer = restore_tokenizer(recorded_cases()["cases"][0]["tokenizer"].dump());
  std::string text;
  for (int round = 0; round < 500000; ++round) text += "tokenhel";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

TEST_F(TokenizerFiles, AreFoundByFileByFolderAndAsPair) {
  const json file = small_file();
  write("tokenizer.json", file.dump());
  const auto by_file = load_tokenizer(folder_ / "tokenizer.json");
  EXPECT_EQ(load_tokenizer(folder_)->serialise(), by_file->serialise());
  EXPECT_EQ(by_file->encode("abba<|endoftext|>"),
            (std::vector<std::uint32_t>{256, file["model"]["vocab"]["b"],
                                        file["model"]["vocab"]["a"], 257}));

  fs::remove(folder_ / "tokenizer.json");
  json vocabulary = file["model"]["vocab"];
  vocabulary["<|endoftext|>"] = 257;
  write("vocab.json", vocabulary.dump());
  EXPECT_THAT(refusal_of(folder_), HasSubstr("merges.txt"));
  write("merges.txt", "#version: 0.2\na b\n");
  const auto pair = load_tokenizer(folder_);
  EXPECT_EQ(pair->encode("abba<|endoftext|>"), by_file->encode("abba<|endoftext|>"));
  EXPECT_EQ(pair->end_of_text(), 257U);
  EXPECT_EQ(load_tokenizer(folder_ / "vocab.json")->serialise(), pair->serialise());
  EXPECT_EQ(restore_tokenizer(pair->serialise())->encode("ab<|endoftext|>"),
            pair->encode("ab<|endoftext|>"));

  write("merges.txt", "#version: 0.2\na b\na  b\n");
  EXPECT_THAT(refusal_of(folder_), HasSubstr("merges.txt: line 3"));
  write("merges.txt", "a b\nb q\n");
  EXPECT_THAT(refusal_of(folder_), HasSubstr("\"bq\""));
}

TEST_F(TokenizerFiles, ThatAreNotThereAreNamedWithWhatWasExpected) {
  EXPECT_THAT(refusal_of(folder_), HasSubstr("neither tokenizer.json nor vocab.json"));
  EXPECT_THAT(refusal_of(folder_ / "none.json"), HasSubstr("no such file"));
  write("list.json", "[1]");
  EXPECT_THAT(refusal_of(folder_ / "list.json"), HasSubstr("list.json"));
}

TEST_F(TokenizerFiles, AreWrittenWholeOrNotAtAll) {
  const auto tokenizer = restore_tokenizer(small_file().dump());
  write_tokenizer(*tokenizer, folder_ / "out.json");
  EXPECT_EQ(load_tokenizer(folder_ / "out.json")->serialise(), tokenizer->serialise());
  try {
    write_tokenizer(*tokenizer, folder_ / "missing" / "out.json");
    FAIL() << "wrote into a folder that does not exist";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kCannotWrite);
  }
}

TEST(BrokenTokenizer, IsRefusedForWhatIsNotJson) {
  EXPECT_THAT(refusal(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"model\": {"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(small_file().dump() + "x"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(std::string(1000000, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(refusal(R"({"model": 1, "model": 2})"), HasSubstr("\"model\" occurs twice"));
  EXPECT_THAT(refusal("[]"), HasSubstr("no \"model\""));
  EXPECT_THAT(refusal(R"({"type": "words"})"), HasSubstr("no \"model\""));
}

TEST(BrokenTokenizer, IsRefusedNamingTheEntry) {
  ASSERT_EQ(refusal(small_file().dump()), "was accepted");
  const auto with = [](const char* pointer, const json& value) {
    json file = small_file();
    file[json::json_pointer(pointer)] = value;
    return refusal(file.dump());
  };
  EXPECT_THAT(with("/model/vocab/ab", 300), HasSubstr("\"ab\" has id 300"));
  EXPECT_THAT(with("/model/vocab/ab", 257), HasSubstr("the same id 257"));
  EXPECT_THAT(with("/model/vocab/ab", -1), HasSubstr("\"ab\" has id -1"));
  EXPECT_THAT(with("/model/vocab/ab", 1e18), HasSubstr("\"ab\""));
  EXPECT_THAT(with("/model/vocab/ab", "x"), HasSubstr("\"ab\""));
  EXPECT_THAT(with("/model/vocab/a b", 258), HasSubstr("byte alphabet"));
  EXPECT_THAT(with("/model/vocab/", 258), HasSubstr("byte alphabet"));
  EXPECT_THAT(with("/model/vocab", json::array()), HasSubstr("vocabulary must be an object"));
  EXPECT_THAT(with("/model/merges", {"a b", "a b"}), HasSubstr("repeats merge 0"));
  EXPECT_THAT(with("/model/merges", {"a c"}), HasSubstr("\"ac\", which is not in the vocabulary"));
  EXPECT_THAT(with("/model/merges", {"ab"}), HasSubstr("model.merges[0]"));
  EXPECT_THAT(with("/model/merges", {{"a", "b", "c"}}), HasSubstr("model.merges[0]"));
  EXPECT_THAT(with("/model/merges", 7), HasSubstr("model.merges"));
  EXPECT_THAT(with("/added_tokens/0/id", 256), HasSubstr("the same id 256"));
  EXPECT_THAT(with("/added_tokens/0/id", 999), HasSubstr("has id 999"));
  EXPECT_THAT(with("/added_tokens/0/content", ""), HasSubstr("added token \"\""));
  EXPECT_THAT(with("/added_tokens/0/content", 5), HasSubstr("added_tokens[0].content"));
  EXPECT_THAT(with("/added_tokens/0/lstrip", true), HasSubstr("added_tokens[0].lstrip"));
  json twice = small_file();
  twice["added_tokens"].push_back({{"id", 258}, {"content", "<|endoftext|>"}});
  EXPECT_THAT(refusal(twice.dump()), HasSubstr("occurs twice"));
  json lacking = small_file();
  lacking["model"]["vocab"].erase("q");
  lacking["model"]["vocab"]["qq"] = small_file()["model"]["vocab"]["q"];
  EXPECT_THAT(refusal(lacking.dump()), HasSubstr("byte 0x71"));
}

TEST(BrokenTokenizer, IsRefusedWhereAnAddedTokenHidesATokenOfOtherBytes) {
  // As text the added token is the two bytes of "Ā"; as a vocabulary entry it spells byte 0.
  json file = small_file();
  file["added_tokens"].push_back({{"id", file["model"]["vocab"]["\u0100"]}, {"content", "\u0100"}});
  EXPECT_THAT(refusal(file.dump()), HasSubstr("byte 0x00"));
}

TEST(UnsupportedTokenizer, IsRefusedNamingTheSetting) {
  const auto with = [](const char* pointer, const json& value) {
    json file = small_file();
    file[json::json_pointer(pointer)] = value;
    return refusal(file.dump());
  };
  EXPECT_THAT(with("/normalizer", {{"type", "NFC"}}),
              HasSubstr("normalizer is {\"type\":\"NFC\"}"));
  EXPECT_THAT(with("/model/type", "Unigram"), HasSubstr("model.type is \"Unigram\""));
  EXPECT_THAT(with("/model/byte_fallback", true), HasSubstr("model.byte_fallback"));
  EXPECT_THAT(with("/model/dropout", 0.1), HasSubstr("model.dropout"));
  EXPECT_THAT(with("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(with("/pre_tokenizer/add_prefix_space", true), HasSubstr("add_prefix_space"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "Whitespace"}}), HasSubstr("Whitespace"));
  EXPECT_THAT(with("/pre_tokenizer", nullptr), HasSubstr("pre_tokenizer is null"));
  EXPECT_THAT(with("/decoder", {{"type", "WordPiece"}}), HasSubstr("decoder"));
  json split = recorded_cases()["cases"][1]["tokenizer"]["pre_tokenizer"];
  EXPECT_EQ(with("/pre_tokenizer", split), "was accepted");
  split["pretokenizers"][0]["pattern"]["Regex"] = "\\w+";
  EXPECT_THAT(with("/pre_tokenizer", split), HasSubstr("pattern is \"\\\\w+\""));
  split["pretokenizers"][0]["behavior"] = "MergedWithNext";
  EXPECT_THAT(with("/pre_tokenizer", split), HasSubstr("Split"));
}

}  // namespace
}  // namespace ingot
