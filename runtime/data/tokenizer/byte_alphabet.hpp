// GPT-2's printable names of the 256 bytes: the alphabet in which tokenizer files spell tokens.
// Visible Latin-1 characters stand for themselves, every other byte for U+0100 onwards.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ingot {

/// The alphabet of "Language Models are Unsupervised Multitask Learners" (Radford et al., 2019).
class ByteAlphabet {
 public:
  ByteAlphabet();

  /// `bytes` spelled in the alphabet, as UTF-8.
  std::string spell(std::string_view bytes) const;

  /// The bytes that a spelling stands for; empty where a character is not of the alphabet.
  std::optional<std::string> bytes_of(std::string_view spelling) const;

  /// The bytes in the order of their characters, which is the order of GPT-2's first 256 ids.
  const std::array<std::uint8_t, 256>& order() const { return order_; }

 private:
  static constexpr std::uint32_t kCharacters = 324;  ///< the last one is U+0143
  std::array<std::uint32_t, 256> character_{};
  std::array<std::int32_t, kCharacters> byte_{};  ///< by character; -1: not of the alphabet
  std::array<std::uint8_t, 256> order_{};
};

}  // namespace ingot
