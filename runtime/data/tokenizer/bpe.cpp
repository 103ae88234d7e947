// Encoding and decoding of the byte-level BPE. Merging keeps the candidate pairs in a heap, so that
// a word of n bytes takes n log n steps: words without a space, such as base64, are long.
#include "runtime/data/tokenizer/bpe.hpp"

#include <algorithm>
#include <array>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

// What published tokenizers call the end of a document, the most specific first.
constexpr std::array<std::string_view, 4> kEndOfTextNames = {
    "<|endoftext|>", "<|end_of_text|>", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", "</s>"};

constexpr std::int64_t kEnd = -1;
constexpr std::uint32_t kGone = 0xFFFFFFFFU;

/// A part of the word being merged; parts form a doubly linked list.
struct Part {
  std::uint32_t id = kGone;  ///< kGone: merged into its left neighbour
  std::int64_t previous = kEnd;
  std::int64_t next = kEnd;
};

/// A pair that may be merged. It is stale, and skipped, once its parts are no longer these ids.
struct Candidate {
  std::uint64_t rank_and_merged = 0;
  std::int64_t left = 0;
  std::uint32_t left_id = 0;
  std::uint32_t right_id = 0;

  /// Order of a max-heap whose top has the lowest rank and, among equals, stands leftmost.
  bool operator<(const Candidate& other) const {
    if (rank_and_merged != other.rank_and_merged) return rank_and_merged > other.rank_and_merged;
    return left > other.left;
  }
};

FlatTable merge_table(const std::vector<BpeDescription::Merge>& merges) {
  FlatTable table(merges.size());
  std::uint64_t rank = 0;
  for (const auto& merge : merges) {
    table.insert(pair_key(merge.left, merge.right), (rank << 32) | merge.merged);
    ++rank;
  }
  return table;
}

}  // namespace

/// Memory that one encode() reuses from word to word.
struct ByteLevelBpe::Scratch {
  std::vector<std::uint32_t> tokens;  ///< the result
  std::vector<Part> parts;
  std::vector<Candidate> heap;
};

ByteLevelBpe::ByteLevelBpe(BpeDescription description)
    : description_(std::move(description)),
      merges_(merge_table(description_.merges)),
      marks_(description_.added, false),
      normalized_marks_(description_.added, true) {
  std::vector<bool> is_added(description_.tokens.size());
  for (const AddedToken& token : description_.added) is_added[token.id] = true;
  for (std::uint32_t id = 0; id < description_.tokens.size(); ++id) {
    if (description_.ignore_merges && !is_added[id]) {
      whole_words_.emplace(description_.tokens[id], id);
    }
  }
  for (const std::string_view name : kEndOfTextNames) {
    for (const AddedToken& token : description_.added) {
      if (!end_of_text_ && token.content == name) end_of_text_ = token.id;
    }
  }
}

std::vector<std::uint32_t> ByteLevelBpe::encode(std::string_view text) const {
  Scratch scratch;
  scratch.tokens.reserve(text.size() / 3);
  const auto take = [&](std::uint32_t id) { scratch.tokens.push_back(id); };
  const auto encode_rest = [&](std::string_view part) { encode_part(part, scratch); };
  const auto split_rest = [&](std::string_view part) {
    normalized_marks_.split(part, encode_rest, take);
  };
  marks_.split(text, split_rest, take);
  return std::move(scratch.tokens);
}

void ByteLevelBpe::encode_part(std::string_view text, Scratch& scratch) const {
  for_each_word(text, description_.pattern,
                [&](std::string_view word) { encode_word(word, scratch); });
}

void ByteLevelBpe::encode_word(std::string_view word, Scratch& scratch) const {
  if (description_.ignore_merges) {
    if (const auto found = whole_words_.find(word); found != whole_words_.end()) {
      scratch.tokens.push_back(found->second);
      return;
    }
  }
  std::vector<Part>& parts = scratch.parts;
  std::vector<Candidate>& heap = scratch.heap;
  const auto length = static_cast<std::int64_t>(word.size());
  const auto part = [&](std::int64_t index) -> Part& {
    return parts[static_cast<std::size_t>(index)];
  };
  parts.resize(word.size());
  heap.clear();
  for (std::int64_t index = 0; index < length; ++index) {
    const auto byte = static_cast<unsigned char>(word[static_cast<std::size_t>(index)]);
    part(index) = {description_.byte_tokens[byte], index - 1,
                   index + 1 < length ? index + 1 : kEnd};
  }
  const auto consider = [&](std::int64_t left) {
    const std::uint32_t left_id = part(left).id;
    const std::uint32_t right_id = part(part(left).next).id;
    if (const auto merge = merges_.find(pair_key(left_id, right_id))) {
      heap.push_back({*merge, left, left_id, right_id});
      std::push_heap(heap.begin(), heap.end());
    }
  };
  for (std::int64_t index = 0; index + 1 < length; ++index) consider(index);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate top = heap.back();
    heap.pop_back();
    Part& left = part(top.left);
    if (left.id != top.left_id || left.next == kEnd) continue;
    Part& right = part(left.next);
    if (right.id != top.right_id) continue;
    left.id = static_cast<std::uint32_t>(top.rank_and_merged);
    right.id = kGone;
    left.next = right.next;
    if (left.next != kEnd) {
      part(left.next).previous = top.left;
      consider(top.left);
    }
    if (left.previous != kEnd) consider(left.previous);
  }
  for (const Part& each : parts) {
    if (each.id != kGone) scratch.tokens.push_back(each.id);
  }
}

std::string ByteLevelBpe::decode(std::span<const std::uint32_t> tokens) const {
  std::string text;
  for (const std::uint32_t token : tokens) {
    if (token >= description_.tokens.size()) {
      fail(ExitCode::kBadData, "token {} is outside the tokenizer's vocabulary of {}", token,
           description_.tokens.size());
    }
    text += description_.tokens[token];
  }
  return text;
}

std::int64_t ByteLevelBpe::vocabulary() const {
  return static_cast<std::int64_t>(description_.tokens.size());
}

std::string ByteLevelBpe::serialise() const {
  return hugging_face_json(description_);
}

}  // namespace ingot
