// Characters of UTF-8 text and their Unicode classes, by utf8proc; ASCII is answered from a table.
#include "runtime/data/tokenizer/characters.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace ingot {
namespace {

constexpr std::array<CharacterClass, 128> kAsciiClasses = [] {
  std::array<CharacterClass, 128> classes{};
  for (std::uint32_t code = 0; code < 128; ++code) {
    const bool letter = (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
    const bool number = code >= '0' && code <= '9';
    const bool space = code == ' ' || (code >= 9 && code <= 13);
    classes[code] = letter   ? CharacterClass::kLetter
                    : number ? CharacterClass::kNumber
                    : space  ? CharacterClass::kSpace
                             : CharacterClass::kOther;
  }
  return classes;
}();

CharacterClass class_of(std::uint32_t code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) {
    return CharacterClass::kLetter;
  }
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) {
    return CharacterClass::kNumber;
  }
  // White_Space beyond ASCII: the separators, and NEXT LINE, whose category is control.
  if ((category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP) || code == 0x85) {
    return CharacterClass::kSpace;
  }
  return CharacterClass::kOther;
}

}  // namespace

Character next_character(std::string_view text, std::size_t position) {
  const auto byte = static_cast<unsigned char>(text[position]);
  if (byte < 0x80) return {byte, 1, kAsciiClasses[byte], true};
  utf8proc_int32_t code = 0;
  // utf8proc takes a negative length for "until NUL"; four bytes are the most a character has.
  const auto available =
      static_cast<utf8proc_ssize_t>(std::min<std::size_t>(4, text.size() - position));
  const utf8proc_ssize_t length = utf8proc_iterate(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + position, available, &code);
  if (length < 2) return {byte, 1, CharacterClass::kOther, false};
  const auto point = static_cast<std::uint32_t>(code);
  return {point, static_cast<std::uint8_t>(length), class_of(point), true};
}

}  // namespace ingot
