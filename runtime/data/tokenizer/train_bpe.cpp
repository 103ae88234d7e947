// Learning merges with counts that are updated, not recounted: a merge touches only the words that
// hold its pair.
#include "runtime/data/tokenizer/train_bpe.hpp"

#include <algorithm>
#include <queue>
#include <unordered_set>

#include "ops/base/error.hpp"
#include "runtime/data/tokenizer/bpe.hpp"
#include "runtime/data/tokenizer/byte_alphabet.hpp"

namespace ingot {
namespace {

struct Word {
  std::vector<std::uint32_t> tokens;
  std::int64_t count = 0;
};

struct PairCount {
  std::int64_t count = 0;
  std::vector<std::size_t> words;  ///< that hold the pair, or held it; may repeat
};

/// What the queue orders. Stale where the pair's count has changed since.
struct Candidate {
  std::int64_t count = 0;
  std::uint64_t pair = 0;

  bool operator<(const Candidate& other) const {
    if (count != other.count) return count < other.count;
    return pair > other.pair;
  }
};

/// The state of learning. Two merges may spell the same token; it then has one id.
class PairMerger {
 public:
  PairMerger(std::vector<Word> words, std::vector<std::string> tokens, std::int64_t minimum_count)
      : words_(std::move(words)), tokens_(std::move(tokens)), minimum_count_(minimum_count) {
    for (std::uint32_t id = 0; id < tokens_.size(); ++id) ids_.emplace(tokens_[id], id);
    for (std::size_t index = 0; index < words_.size(); ++index) {
      const Word& word = words_[index];
      for (std::size_t place = 0; place + 1 < word.tokens.size(); ++place) {
        change(word.tokens[place], word.tokens[place + 1], word.count, index);
      }
    }
    for (const auto& [pair, counted] : pairs_) push(pair, counted.count);
    changed_.clear();
  }

  void merge_until(std::size_t vocabulary) {
    while (tokens_.size() < vocabulary && !queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const std::int64_t count = pairs_.at(top.pair).count;
      if (count == top.count) {
        merge(top.pair);
      } else {
        push(top.pair, count);
      }
    }
  }

  std::vector<std::string> take_tokens() { return std::move(tokens_); }
  std::vector<BpeDescription::Merge> take_merges() { return std::move(merges_); }

 private:
  void push(std::uint64_t pair, std::int64_t count) {
    if (count >= minimum_count_ && count > 0) queue_.push({count, pair});
  }

  void change(std::uint32_t left, std::uint32_t right, std::int64_t difference, std::size_t word) {
    const std::uint64_t pair = pair_key(left, right);
    PairCount& counted = pairs_[pair];
    counted.count += difference;
    if (difference > 0) {
      if (counted.words.empty() || counted.words.back() != word) counted.words.push_back(word);
      changed_.insert(pair);
    }
  }

  void merge(std::uint64_t pair) {
    const auto left = static_cast<std::uint32_t>(pair >> 32);
    const auto right = static_cast<std::uint32_t>(pair);
    std::string bytes = tokens_[left] + tokens_[right];
    const auto [place, is_new] = ids_.emplace(bytes, static_cast<std::uint32_t>(tokens_.size()));
    const std::uint32_t merged = place->second;
    if (is_new) tokens_.push_back(std::move(bytes));
    // A pair comes up again where a later merge yields one of its tokens; its rank stays the first.
    if (known_.insert(pair).second) merges_.push_back({left, right, merged});
    const std::vector<std::size_t> holders = std::move(pairs_.at(pair).words);
    for (const std::size_t index : holders) merge_in_word(index, left, right, merged);
    pairs_[pair] = {};
    for (const std::uint64_t grown : changed_) {
      if (grown != pair) push(grown, pairs_.at(grown).count);
    }
    changed_.clear();
  }

  /// Replaces the pair from left to right, as encoding does.
  void merge_in_word(std::size_t index, std::uint32_t left, std::uint32_t right,
                     std::uint32_t merged) {
    Word& word = words_[index];
    std::vector<std::uint32_t>& tokens = word.tokens;
    std::size_t written = 0;
    for (std::size_t read = 0; read < tokens.size(); ++read, ++written) {
      if (tokens[read] != left || read + 1 == tokens.size() || tokens[read + 1] != right) {
        tokens[written] = tokens[read];
        continue;
      }
      if (written > 0) {
        change(tokens[written - 1], left, -word.count, index);
        change(tokens[written - 1], merged, word.count, index);
      }
      if (read + 2 < tokens.size()) {
        change(right, tokens[read + 2], -word.count, index);
        change(merged, tokens[read + 2], word.count, index);
      }
      tokens[written] = merged;
      ++read;
    }
    tokens.resize(written);
  }

  std::vector<Word> words_;
  std::vector<std::string> tokens_;
  std::int64_t minimum_count_;
  std::vector<BpeDescription::Merge> merges_;
  std::unordered_map<std::string, std::uint32_t> ids_;
  std::unordered_map<std::uint64_t, PairCount> pairs_;
  std::unordered_set<std::uint64_t> known_;    ///< pairs that are in merges_
  std::unordered_set<std::uint64_t> changed_;  ///< pairs whose count grew in this merge
  std::priority_queue<Candidate> queue_;
};

}  // namespace

void BpeTrainer::add(std::string_view document) {
  const AddedTokenFinder mark({{.content = options_.end_of_text}}, false);
  mark.split(
      document,
      [&](std::string_view text) {
        for_each_word(text, options_.pattern, [&](std::string_view word) {
          const auto found = words_.find(word);
          if (found != words_.end()) {
            ++found->second;
          } else {
            words_.emplace(word, 1);
          }
        });
      },
      [](std::uint32_t) {});
}

std::unique_ptr<Tokenizer> BpeTrainer::train(std::int64_t vocabulary) const {
  const std::int64_t marks = options_.end_of_text.empty() ? 0 : 1;
  const std::int64_t most = std::int64_t{1} << 20;
  if (vocabulary < 256 + marks || vocabulary > most) {
    fail(ExitCode::kUsage,
         "a vocabulary of {} is not possible: it holds the 256 bytes{}, so {} ... {}", vocabulary,
         marks == 1 ? " and the end of text" : "", 256 + marks, most);
  }
  if (words_.empty()) {
    fail(ExitCode::kBadData,
         "there is no text to train a tokenizer on; give files that are not empty");
  }
  BpeDescription description;
  description.pattern = options_.pattern;
  std::vector<std::string> tokens;
  const ByteAlphabet alphabet;
  for (const std::uint8_t byte : alphabet.order()) {
    description.byte_tokens[byte] = static_cast<std::uint32_t>(tokens.size());
    tokens.emplace_back(1, static_cast<char>(byte));
  }
  std::vector<Word> words;
  words.reserve(words_.size());
  for (const auto& [text, count] : words_) {
    Word& word = words.emplace_back();
    word.count = count;
    for (const char byte : text) {
      word.tokens.push_back(description.byte_tokens[static_cast<unsigned char>(byte)]);
    }
  }
  PairMerger merger(std::move(words), std::move(tokens), options_.minimum_count);
  merger.merge_until(static_cast<std::size_t>(vocabulary - marks));
  description.tokens = merger.take_tokens();
  description.merges = merger.take_merges();
  if (marks == 1) {
    const auto id = static_cast<std::uint32_t>(description.tokens.size());
    description.added.push_back({.id = id, .content = options_.end_of_text});
    description.tokens.push_back(options_.end_of_text);
  }
  return std::make_unique<ByteLevelBpe>(std::move(description));
}

std::unique_ptr<Tokenizer> train_bpe(std::span<const std::string> texts, std::int64_t vocabulary,
                                     const BpeTrainingOptions& options) {
  BpeTrainer trainer(options);
  for (const std::string& text : texts) trainer.add(text);
  return trainer.train(vocabulary);
}

}  // namespace ingot
