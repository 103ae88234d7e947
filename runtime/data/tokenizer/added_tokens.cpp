// Finding added tokens with a trie: work per byte of text is bounded by the longest token.
#include "runtime/data/tokenizer/added_tokens.hpp"

namespace ingot {
namespace {

std::size_t total_length(const std::vector<AddedToken>& tokens) {
  std::size_t length = 0;
  for (const AddedToken& token : tokens) length += token.content.size();
  return length;
}

std::uint64_t edge_key(std::uint64_t node, char byte) {
  return (node << 8) | static_cast<unsigned char>(byte);
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens, bool normalized)
    : edges_(total_length(tokens)) {
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized || token.content.empty()) continue;
    std::uint64_t node = 0;
    for (const char byte : token.content) {
      const std::uint64_t key = edge_key(node, byte);
      if (edges_.insert(key, ends_.size())) ends_.push_back(kNone);
      node = *edges_.find(key);
    }
    ends_[node] = token.id;
    begins_[static_cast<unsigned char>(token.content.front())] = true;
    empty_ = false;
  }
}

AddedTokenFinder::Found AddedTokenFinder::find(std::string_view text, std::size_t from) const {
  if (empty_) return {text.size(), text.size(), 0};
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    Found found{text.size(), 0, 0};
    std::uint64_t node = 0;
    for (std::size_t end = begin; end < text.size();) {
      const auto next = edges_.find(edge_key(node, text[end]));
      if (!next) break;
      node = *next;
      ++end;
      if (ends_[node] != kNone) found = {begin, end, ends_[node]};
    }
    if (found.begin != text.size()) return found;
  }
  return {text.size(), text.size(), 0};
}

}  // namespace ingot
