// Byte-level byte pair encoding, as GPT-2 introduced it: text is cut into words by a pattern, a
// word starts as its bytes, and of its adjacent pairs the one learned first is merged until none is
// known.
#pragma once

#include <array>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/data/tokenizer/added_tokens.hpp"
#include "runtime/data/tokenizer/flat_table.hpp"
#include "runtime/data/tokenizer/pretokenise.hpp"
#include "runtime/data/tokenizer/tokenizer.hpp"

namespace ingot {

/// What makes a byte-level BPE. Readers of files establish, and the constructor relies on: ids are
/// in range, and a merged token is the joined bytes of its parts.
struct BpeDescription {
  struct Merge {
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    std::uint32_t merged = 0;
  };
  std::vector<std::string> tokens;               ///< the bytes of every id, added tokens included
  std::array<std::uint32_t, 256> byte_tokens{};  ///< the id of every byte
  std::vector<Merge> merges;                     ///< in the order of their ranks
  std::vector<AddedToken> added;
  WordPattern pattern = WordPattern::kGpt2;
  bool ignore_merges = false;  ///< a word that is a token is taken whole (Llama 3)
};

class ByteLevelBpe final : public Tokenizer {
 public:
  explicit ByteLevelBpe(BpeDescription description);

  std::vector<std::uint32_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::uint32_t> tokens) const override;
  std::int64_t vocabulary() const override;
  std::optional<std::uint32_t> end_of_text() const override { return end_of_text_; }
  std::string serialise() const override;
  std::string kind() const override { return "bpe"; }

  const BpeDescription& description() const { return description_; }

 private:
  struct Scratch;
  void encode_part(std::string_view text, Scratch& scratch) const;
  void encode_word(std::string_view word, Scratch& scratch) const;

  BpeDescription description_;
  FlatTable merges_;  ///< pair of ids -> rank << 32 | merged id
  std::unordered_map<std::string_view, std::uint32_t> whole_words_;  ///< where merges are ignored
  AddedTokenFinder marks_;
  AddedTokenFinder normalized_marks_;
  std::optional<std::uint32_t> end_of_text_;
};

/// The text of a Hugging Face tokenizer.json for a byte-level BPE.
std::string hugging_face_json(const BpeDescription& description);

}  // namespace ingot
