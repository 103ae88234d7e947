// Tokens that stand for a fixed text wherever it occurs, such as <|endoftext|>: they are found
// before the text is cut into words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/data/tokenizer/flat_table.hpp"

namespace ingot {

struct AddedToken {
  std::uint32_t id = 0;
  std::string content;
  bool special = true;         ///< a mark, not text
  bool normalized = false;     ///< looked for in what the others left
  bool in_vocabulary = false;  ///< the file lists it in the model's vocabulary too
};

/// Finds added tokens; of those that begin at the same byte the longest counts.
class AddedTokenFinder {
 public:
  /// Looks for the tokens whose `normalized` is as given.
  AddedTokenFinder(const std::vector<AddedToken>& tokens, bool normalized);

  struct Found {
    std::size_t begin = 0;  ///< text.size() where there is none
    std::size_t end = 0;
    std::uint32_t id = 0;
  };

  /// The first token in `text` at or after byte `from`.
  Found find(std::string_view text, std::size_t from) const;

  /// Calls text(std::string_view) and token(std::uint32_t id) for the parts of `text` in order;
  /// texts are not empty.
  template <typename Text, typename Token>
  void split(std::string_view text, Text&& visit_text, Token&& visit_token) const {
    for (std::size_t position = 0; position < text.size();) {
      const Found found = find(text, position);
      if (found.begin > position) visit_text(text.substr(position, found.begin - position));
      if (found.begin == text.size()) return;
      visit_token(found.id);
      position = found.end;
    }
  }

 private:
  // A trie: node 0 is the root, edges_ maps (node, byte) to a node, ends_ a node to a token.
  static constexpr std::uint32_t kNone = 0xFFFFFFFFU;
  FlatTable edges_;
  std::vector<std::uint32_t> ends_ = {kNone};
  bool begins_[256] = {};  ///< bytes that some token begins with
  bool empty_ = true;
};

}  // namespace ingot
