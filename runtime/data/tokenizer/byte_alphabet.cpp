// GPT-2's printable names of the 256 bytes.
#include "runtime/data/tokenizer/byte_alphabet.hpp"

#include "runtime/data/tokenizer/characters.hpp"

namespace ingot {

ByteAlphabet::ByteAlphabet() {
  byte_.fill(-1);
  std::uint32_t next = 256;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool visible = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
                         (byte >= 0xAE && byte <= 0xFF);
    character_[byte] = visible ? byte : next++;
    byte_[character_[byte]] = static_cast<std::int32_t>(byte);
  }
  std::size_t place = 0;
  for (const std::int32_t byte : byte_) {
    if (byte >= 0) order_[place++] = static_cast<std::uint8_t>(byte);
  }
}

std::string ByteAlphabet::spell(std::string_view bytes) const {
  std::string spelling;
  for (const char byte : bytes) {
    const std::uint32_t character = character_[static_cast<unsigned char>(byte)];
    if (character < 0x80) {
      spelling.push_back(static_cast<char>(character));
    } else {
      spelling.push_back(static_cast<char>(0xC0 | (character >> 6)));
      spelling.push_back(static_cast<char>(0x80 | (character & 0x3F)));
    }
  }
  return spelling;
}

std::optional<std::string> ByteAlphabet::bytes_of(std::string_view spelling) const {
  std::string bytes;
  for (std::size_t position = 0; position < spelling.size();) {
    const Character character = next_character(spelling, position);
    if (!character.valid || character.code >= kCharacters || byte_[character.code] < 0) return {};
    bytes.push_back(static_cast<char>(byte_[character.code]));
    position += character.length;
  }
  return bytes;
}

}  // namespace ingot
