// The pre-tokenisation patterns as scanners. Each alternative of a pattern is tried in the order of
// its regular expression, since the first that matches wins.
#include "runtime/data/tokenizer/pretokenise.hpp"

#include <array>
#include <utility>

#include "ops/base/error.hpp"
#include "runtime/data/tokenizer/characters.hpp"

namespace ingot {
namespace {

using enum CharacterClass;
using RegexName = std::pair<std::string_view, WordPattern>;

// Spellings in use that match the same words; the first of each pattern is the one written.
constexpr std::array<RegexName, 6> kRegexes = {{
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     WordPattern::kGpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     WordPattern::kGpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordPattern::kCl100k},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     WordPattern::kCl100k},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordPattern::kCl100k},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
     R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordPattern::kQwen2},
}};

bool is_newline(const Character& character) {
  return character.code == '\n' || character.code == '\r';
}

/// End of the run of characters of one class that begins at `position`, at most `most` of them.
std::size_t run_end(std::string_view text, std::size_t position, CharacterClass kind,
                    std::size_t most = std::string_view::npos) {
  for (std::size_t count = 0; count < most && position < text.size(); ++count) {
    const Character character = next_character(text, position);
    if (character.kind != kind) break;
    position += character.length;
  }
  return position;
}

/// Bytes of the contraction ('s 't 're 've 'm 'll 'd) at `position`; 0: there is none.
std::size_t contraction_length(std::string_view text, std::size_t position, bool ignore_case) {
  if (text[position] != '\'') return 0;
  const auto letter = [&](std::size_t offset) -> char {
    if (position + offset >= text.size()) return 0;
    const char found = text[position + offset];
    return ignore_case && found >= 'A' && found <= 'Z' ? static_cast<char>(found | 0x20) : found;
  };
  const char first = letter(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && letter(2) == 'e') return 3;
  if (first == 'l' && letter(2) == 'l') return 3;
  // Unicode case folding makes the long s (U+017F, bytes C5 BF) an s.
  if (ignore_case && first == '\xC5' && letter(2) == '\xBF') return 3;
  return 0;
}

/// \s+(?!\S)|\s+ : a run of spaces without its last one where a word follows, which takes it.
std::size_t spaces_end(std::string_view text, std::size_t position) {
  std::size_t last = position;
  std::size_t end = position;
  while (end < text.size()) {
    const Character character = next_character(text, end);
    if (character.kind != kSpace) return last == position ? end : last;
    last = end;
    end += character.length;
  }
  return end;
}

std::size_t gpt2_end(std::string_view text, std::size_t position) {
  if (const std::size_t length = contraction_length(text, position, false))
    return position + length;
  const std::size_t begin = text[position] == ' ' ? position + 1 : position;
  if (begin < text.size()) {
    const CharacterClass kind = next_character(text, begin).kind;
    if (kind != kSpace) return run_end(text, begin, kind);
  }
  return spaces_end(text, position);
}

/// \s*[\r\n]+ : the run of spaces up to its last newline; `position` where it has none.
std::size_t lines_end(std::string_view text, std::size_t position) {
  std::size_t found = position;
  while (position < text.size()) {
    const Character character = next_character(text, position);
    if (character.kind != kSpace) break;
    position += character.length;
    if (is_newline(character)) found = position;
  }
  return found;
}

/// The patterns of the cl100k family, which differ in how many digits make a word.
std::size_t cl100k_end(std::string_view text, std::size_t position, std::size_t digits) {
  if (const std::size_t length = contraction_length(text, position, true)) return position + length;
  const Character first = next_character(text, position);
  if (first.kind == kLetter) return run_end(text, position, kLetter);
  if (first.kind == kNumber) return run_end(text, position, kNumber, digits);
  const std::size_t second = position + first.length;
  if (!is_newline(first)) {
    const std::size_t letters = run_end(text, second, kLetter);
    if (letters > second) return letters;
  }
  const std::size_t begin = first.code == ' ' ? second : position;
  std::size_t end = run_end(text, begin, kOther);
  if (end > begin) {
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n')) ++end;
    return end;
  }
  const std::size_t lines = lines_end(text, position);
  return lines > position ? lines : spaces_end(text, position);
}

}  // namespace

std::optional<WordPattern> pattern_of_regex(std::string_view regex) {
  for (const auto& [spelling, pattern] : kRegexes) {
    if (spelling == regex) return pattern;
  }
  return {};
}

std::string_view regex_of_pattern(WordPattern pattern) {
  for (const auto& [spelling, denoted] : kRegexes) {
    if (denoted == pattern) return spelling;
  }
  ensure(false, "a pattern that has a regular expression");
  return {};
}

std::size_t word_end(std::string_view text, std::size_t position, WordPattern pattern) {
  switch (pattern) {
    case WordPattern::kWhole:
      return text.size();
    case WordPattern::kGpt2:
      return gpt2_end(text, position);
    case WordPattern::kCl100k:
      return cl100k_end(text, position, 3);
    case WordPattern::kQwen2:
      return cl100k_end(text, position, 1);
  }
  return text.size();
}

}  // namespace ingot
