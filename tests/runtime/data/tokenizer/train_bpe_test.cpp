// Learning merges.
#include "runtime/data/tokenizer/train_bpe.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "ops/base/error.hpp"
#include "runtime/data/tokenizer/bpe.hpp"

namespace ingot {
namespace {

const BpeDescription& description_of(const Tokenizer& tokenizer) {
  return dynamic_cast<const ByteLevelBpe&>(tokenizer).description();
}

/// The learned tokens as text, in order.
std::vector<std::string> learned(const Tokenizer& tokenizer) {
  const auto& tokens = description_of(tokenizer).tokens;
  const auto marks = static_cast<std::ptrdiff_t>(description_of(tokenizer).added.size());
  return {tokens.begin() + 256, tokens.end() - marks};
}

/// The same merges by counting every pair anew for each merge.
std::vector<std::string> recounted_merges(std::vector<std::vector<std::string>> words,
                                          const std::map<std::string, std::uint32_t>& byte_ids,
                                          std::size_t merges) {
  std::map<std::string, std::uint32_t> ids = byte_ids;
  std::vector<std::string> result;
  while (result.size() < merges) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::pair<int, std::string>> pairs;
    for (const auto& word : words) {
      for (std::size_t place = 0; place + 1 < word.size(); ++place) {
        auto& counted = pairs[{ids.at(word[place]), ids.at(word[place + 1])}];
        counted.first += 1;
        counted.second = word[place] + '|' + word[place + 1];
      }
    }
    const auto best = std::max_element(pairs.begin(), pairs.end(), [](auto& left, auto& right) {
      return left.second.first < right.second.first;
    });
    if (best == pairs.end() || best->second.first < 2) break;
    const std::string text = best->second.second;
    const std::string left = text.substr(0, text.find('|'));
    const std::string right = text.substr(text.find('|') + 1);
    if (ids.emplace(left + right, static_cast<std::uint32_t>(ids.size())).second) {
      result.push_back(left + right);
    }
    for (auto& word : words) {
      for (std::size_t place = 0; place + 1 < word.size(); ++place) {
        if (word[place] != left || word[place + 1] != right) continue;
        word[place] += right;
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(place) + 1);
      }
    }
  }
  return result;
}

TEST(TrainBpe, MergesTheMostFrequentPairFirst) {
  const std::vector<std::string> text = {"xyz xyz xyz xy xy"};
  const auto tokenizer = train_bpe(text, 300);
  EXPECT_EQ(learned(*tokenizer), (std::vector<std::string>{"xy", " xy", " xyz"}));
  EXPECT_EQ(tokenizer->vocabulary(), 256 + 3 + 1);
  EXPECT_EQ(tokenizer->end_of_text(), 259U);
}

TEST(TrainBpe, LearnsWhatRecountingFromScratchLearns) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 generator(seed);
  for (int round = 0; round < 20; ++round) {
    std::string text;
    std::vector<std::vector<std::string>> words;
    for (int word = 0; word < 60; ++word) {
      auto& letters = words.emplace_back();
      if (word > 0) letters.emplace_back(" ");
      for (unsigned count = 1 + generator() % 8; count > 0; --count) {
        letters.emplace_back(1, static_cast<char>('a' + generator() % 3));
      }
      for (const auto& letter : letters) text += letter;
    }
    const auto tokenizer = train_bpe(std::vector<std::string>{text}, 290, {.end_of_text = ""});
    std::map<std::string, std::uint32_t> byte_ids;
    for (std::uint32_t id = 0; id < 256; ++id) byte_ids[description_of(*tokenizer).tokens[id]] = id;
    ASSERT_EQ(learned(*tokenizer), recounted_merges(words, byte_ids, 290 - 256)) << text;
  }
}

TEST(TrainBpe, DoesNotDependOnTheOrderOfDocuments) {
  std::vector<std::string> texts = {"the cat sat", "on the mat", "and the hat",
                                    "then that was that"};
  const std::string forward = train_bpe(texts, 280)->serialise();
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(train_bpe(texts, 280)->serialise(), forward);
}

TEST(TrainBpe, WritesAFileThatGivesTheSameTokens) {
  const std::vector<std::string> text = {"It's 1234 o'clock, it's 1234 o'clock.\n\nIt's late."};
  const BpeTrainingOptions options{.pattern = WordPattern::kCl100k};
  const auto tokenizer = train_bpe(text, 300, options);
  const auto restored = restore_tokenizer(tokenizer->serialise());
  EXPECT_EQ(restored->encode(text[0]), tokenizer->encode(text[0]));
  EXPECT_EQ(restored->decode(restored->encode(text[0])), text[0]);
  EXPECT_LT(restored->encode(text[0]).size(), text[0].size() * 2 / 3);
}

TEST(TrainBpe, KeepsTheEndOfTextOutOfTheWords) {
  const std::vector<std::string> text = {"<|endoftext|><|endoftext|><|endoftext|>ab ab"};
  EXPECT_EQ(learned(*train_bpe(text, 300)), (std::vector<std::string>{"ab"}));
}

TEST(TrainBpe, RefusesVocabulariesWithoutRoomAndTextsWithoutWords) {
  const auto code_of = [](std::vector<std::string> texts, std::int64_t vocabulary) {
    try {
      train_bpe(texts, vocabulary);
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::kDone;
  };
  EXPECT_EQ(code_of({"text"}, 256), ExitCode::kUsage);
  EXPECT_EQ(code_of({"text"}, 257), ExitCode::kDone);
  EXPECT_EQ(code_of({"text"}, std::int64_t{1} << 40), ExitCode::kUsage);
  EXPECT_EQ(code_of({""}, 300), ExitCode::kBadData);
}

}  // namespace
}  // namespace ingot
