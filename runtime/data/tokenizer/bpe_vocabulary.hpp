// The part that both file formats share: a table of spelled tokens, merges by spelling and added
// tokens, checked entry by entry and turned into a BpeDescription.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/data/tokenizer/bpe.hpp"
#include "runtime/data/tokenizer/byte_alphabet.hpp"

namespace ingot {

/// Collects a vocabulary from untrusted files. Every failure is kBadData and names file and entry.
class BpeVocabulary {
 public:
  /// `tokens` is the JSON object that maps spelled tokens to ids; `added` the added tokens, whose
  /// in_vocabulary is set here. Ids must be 0 ... n-1 without gaps or repetition over both.
  BpeVocabulary(const nlohmann::json& tokens, std::vector<AddedToken> added,
                const std::string& origin);

  /// Adds the merge of two spelled tokens; `entry` says where it stands, for messages.
  void add_merge(std::string_view left, std::string_view right, const std::string& origin,
                 std::int64_t entry);

  BpeDescription take() { return std::move(description_); }

 private:
  void add_added_tokens(std::vector<AddedToken> added, const std::string& origin);
  void add_spelled_tokens(const std::string& origin);
  void find_byte_tokens(const std::string& origin);
  void fill_ids(const std::string& origin);
  std::uint32_t merge_part(std::string_view spelling, const std::string& origin,
                           std::int64_t entry) const;

  static constexpr std::uint32_t kMostTokens = 1U << 21;
  ByteAlphabet alphabet_;
  std::unordered_map<std::string, std::uint32_t> ids_;  ///< by spelling, of the vocabulary
  std::vector<bool> spelled_;  ///< by id: the token's key is its bytes in the byte alphabet
  std::unordered_map<std::uint64_t, std::int64_t> entry_of_merge_;
  BpeDescription description_;
};

}  // namespace ingot
