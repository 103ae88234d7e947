// The tokenizer that needs no file: every byte is its own token.
#include "runtime/data/tokenizer/bytes.hpp"

#include "ops/base/error.hpp"

namespace ingot {

std::vector<std::uint32_t> ByteTokenizer::encode(std::string_view text) const {
  std::vector<std::uint32_t> tokens;
  tokens.reserve(text.size());
  for (const char character : text) tokens.push_back(static_cast<unsigned char>(character));
  return tokens;
}

std::string ByteTokenizer::decode(std::span<const std::uint32_t> tokens) const {
  std::string text;
  text.reserve(tokens.size());
  for (const std::uint32_t token : tokens) {
    if (token > kEndOfText) {
      fail(ExitCode::kBadData,
           "token {} is outside the vocabulary of the bytes tokenizer (0 ... {})", token,
           kEndOfText);
    }
    if (token != kEndOfText) text.push_back(static_cast<char>(token));
  }
  return text;
}

}  // namespace ingot
