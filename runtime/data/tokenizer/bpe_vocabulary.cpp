// Checking and building the vocabulary of a byte-level BPE.
#include "runtime/data/tokenizer/bpe_vocabulary.hpp"

#include <unordered_set>

#include "ops/base/error.hpp"

namespace ingot {

BpeVocabulary::BpeVocabulary(const nlohmann::json& tokens, std::vector<AddedToken> added,
                             const std::string& origin) {
  if (!tokens.is_object()) {
    fail(ExitCode::kBadData, "{}: the vocabulary must be an object of tokens and ids, found {}",
         origin, tokens.type_name());
  }
  for (const auto& [spelling, id] : tokens.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMostTokens) {
      fail(ExitCode::kBadData, "{}: vocabulary entry \"{}\" has id {}, expected 0 ... {}", origin,
           spelling, id.dump(), kMostTokens - 1);
    }
    ids_.emplace(spelling, id.get<std::uint32_t>());
  }
  add_added_tokens(std::move(added), origin);
  fill_ids(origin);
  add_spelled_tokens(origin);
  find_byte_tokens(origin);
}

void BpeVocabulary::add_added_tokens(std::vector<AddedToken> added, const std::string& origin) {
  std::unordered_set<std::string_view> contents;
  for (AddedToken& token : added) {
    if (token.content.empty() || token.id >= kMostTokens) {
      fail(ExitCode::kBadData, "{}: added token \"{}\" with id {}: expected a text and 0 ... {}",
           origin, token.content, token.id, kMostTokens - 1);
    }
    if (!contents.insert(token.content).second) {
      fail(ExitCode::kBadData, "{}: added token \"{}\" occurs twice", origin, token.content);
    }
    if (const auto same = ids_.find(token.content); same != ids_.end()) {
      if (same->second != token.id) {
        fail(ExitCode::kBadData, "{}: added token \"{}\" has id {} but {} in the vocabulary",
             origin, token.content, token.id, same->second);
      }
      token.in_vocabulary = true;
    }
  }
  description_.added = std::move(added);
}

void BpeVocabulary::fill_ids(const std::string& origin) {
  std::size_t count = ids_.size();
  for (const AddedToken& token : description_.added) count += token.in_vocabulary ? 0 : 1;
  // Every id is below the number of tokens and none is used twice; so there are no gaps either.
  std::vector<const std::string*> user(count, nullptr);
  const auto use = [&](std::uint32_t id, const std::string& name) {
    if (id >= count) {
      fail(ExitCode::kBadData, "{}: token \"{}\" has id {}, but ids of {} tokens are 0 ... {}",
           origin, name, id, count, count - 1);
    }
    if (user[id] != nullptr) {
      fail(ExitCode::kBadData, "{}: tokens \"{}\" and \"{}\" have the same id {}", origin,
           *user[id], name, id);
    }
    user[id] = &name;
  };
  for (const auto& [spelling, id] : ids_) use(id, spelling);
  for (const AddedToken& token : description_.added) {
    if (!token.in_vocabulary) use(token.id, token.content);
  }
  description_.tokens.resize(count);
  spelled_.resize(count);
}

void BpeVocabulary::add_spelled_tokens(const std::string& origin) {
  std::vector<bool> is_added(description_.tokens.size());
  for (const AddedToken& token : description_.added) {
    is_added[token.id] = true;
    description_.tokens[token.id] = token.content;
  }
  for (const auto& [spelling, id] : ids_) {
    const auto bytes = alphabet_.bytes_of(spelling);
    if (!is_added[id]) {
      if (!bytes || bytes->empty()) {
        fail(ExitCode::kBadData,
             "{}: vocabulary entry \"{}\" (id {}) is not spelled in the byte alphabet of GPT-2; "
             "only byte-level vocabularies are supported",
             origin, spelling, id);
      }
      description_.tokens[id] = *bytes;
    }
    // An added token stands for its key as text. Where that is not what the key spells, no merge
    // may yield it: its text would not come back.
    spelled_[id] = bytes && description_.tokens[id] == *bytes;
  }
}

void BpeVocabulary::find_byte_tokens(const std::string& origin) {
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const std::string spelling = alphabet_.spell(std::string(1, static_cast<char>(byte)));
    const auto found = ids_.find(spelling);
    if (found == ids_.end() || !spelled_[found->second]) {
      fail(
          ExitCode::kBadData,
          "{}: byte 0x{:02x} (\"{}\") has no token; a byte-level vocabulary has one for every byte",
          origin, byte, spelling);
    }
    description_.byte_tokens[byte] = found->second;
  }
}

std::uint32_t BpeVocabulary::merge_part(std::string_view spelling, const std::string& origin,
                                        std::int64_t entry) const {
  const auto found = ids_.find(std::string(spelling));
  if (found == ids_.end()) {
    fail(ExitCode::kBadData, "{}: merge {} needs the token \"{}\", which is not in the vocabulary",
         origin, entry, spelling);
  }
  if (!spelled_[found->second]) {
    fail(ExitCode::kBadData, "{}: merge {} uses \"{}\", which is an added token", origin, entry,
         spelling);
  }
  return found->second;
}

void BpeVocabulary::add_merge(std::string_view left, std::string_view right,
                              const std::string& origin, std::int64_t entry) {
  BpeDescription::Merge merge;
  merge.left = merge_part(left, origin, entry);
  merge.right = merge_part(right, origin, entry);
  merge.merged = merge_part(std::string(left) + std::string(right), origin, entry);
  const auto [first, added] = entry_of_merge_.emplace(pair_key(merge.left, merge.right), entry);
  if (!added) {
    fail(ExitCode::kBadData, "{}: merge {} (\"{}\" and \"{}\") repeats merge {}", origin, entry,
         left, right, first->second);
  }
  description_.merges.push_back(merge);
}

}  // namespace ingot
