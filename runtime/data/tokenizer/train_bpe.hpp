// Learning a byte-level BPE from text. The result depends on the words and their counts only: not
// on the order of documents, nor on the machine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "runtime/data/tokenizer/pretokenise.hpp"
#include "runtime/data/tokenizer/tokenizer.hpp"

namespace ingot {

struct BpeTrainingOptions {
  WordPattern pattern = WordPattern::kGpt2;
  std::int64_t minimum_count = 2;             ///< pairs that occur less often are not merged
  std::string end_of_text = "<|endoftext|>";  ///< gets the last id; empty: none
};

/// Takes documents one by one and keeps only their distinct words.
class BpeTrainer {
 public:
  explicit BpeTrainer(BpeTrainingOptions options = {}) : options_(std::move(options)) {}

  /// Counts the words of a document; the end-of-text mark in it is no word.
  void add(std::string_view document);

  /// A tokenizer of at most `vocabulary` ids: the 256 bytes in GPT-2's order, the merges, the end
  /// of text. It has fewer where the text runs out of pairs. The most frequent pair is merged
  /// first; among equals the one with the lower ids. Sennrich, Haddow, Birch, "Neural Machine
  /// Translation of Rare Words with Subword Units", 2016. Fails with kUsage where `vocabulary` has
  /// no room for the bytes and with kBadData where no text was added.
  std::unique_ptr<Tokenizer> train(std::int64_t vocabulary) const;

 private:
  struct ViewHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };

  BpeTrainingOptions options_;
  std::unordered_map<std::string, std::int64_t, ViewHash, std::equal_to<>> words_;
};

/// BpeTrainer over texts at hand.
std::unique_ptr<Tokenizer> train_bpe(std::span<const std::string> texts, std::int64_t vocabulary,
                                     const BpeTrainingOptions& options = {});

}  // namespace ingot
