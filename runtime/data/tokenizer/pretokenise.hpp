// Pre-tokenisation: cutting text into the words inside which a byte-level BPE merges. The published
// patterns are regular expressions over Unicode classes; here each is a scanner that runs in linear
// time and also takes bytes that are not UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ingot {

/// The patterns that ingot knows, by whose tokenizer made them common.
enum class WordPattern : std::uint8_t {
  kWhole,   ///< no cutting: the whole text is one word
  kGpt2,    ///< GPT-2
  kCl100k,  ///< cl100k and Llama 3: case-insensitive contractions, numbers of up to 3 digits
  kQwen2    ///< Qwen 2: as cl100k with single digits
};

/// The pattern that a regular expression of a tokenizer.json denotes; empty for one not known here.
std::optional<WordPattern> pattern_of_regex(std::string_view regex);

/// The regular expression of a pattern, as the tokenizer.json files have it; not for kWhole.
std::string_view regex_of_pattern(WordPattern pattern);

/// End of the word that begins at `position` < text.size(). Words follow each other without gaps.
std::size_t word_end(std::string_view text, std::size_t position, WordPattern pattern);

/// Calls visit(std::string_view word) for every word of `text` in order.
template <typename Visitor>
void for_each_word(std::string_view text, WordPattern pattern, Visitor&& visit) {
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t end = word_end(text, position, pattern);
    visit(text.substr(position, end - position));
    position = end;
  }
}

}  // namespace ingot
