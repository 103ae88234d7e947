// Characters of UTF-8 text and the Unicode classes that pre-tokenisation patterns speak of. A byte
// that begins no valid character is a character of its own, neither letter nor number nor space.
#pragma once

#include <cstdint>
#include <string_view>

namespace ingot {

enum class CharacterClass : std::uint8_t {
  kLetter,  ///< \p{L}
  kNumber,  ///< \p{N}
  kSpace,   ///< \s, Unicode White_Space
  kOther
};

struct Character {
  std::uint32_t code = 0;   ///< code point, or the byte where it is not valid UTF-8
  std::uint8_t length = 0;  ///< bytes
  CharacterClass kind = CharacterClass::kOther;
  bool valid = false;
};

/// The character that begins at `position` < text.size().
Character next_character(std::string_view text, std::size_t position);

}  // namespace ingot
