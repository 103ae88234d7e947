// The tokenizer that needs no file: every byte is its own token.
#pragma once

#include "runtime/data/tokenizer/tokenizer.hpp"

namespace ingot {

/// Ids 0 ... 255 are the bytes; 256 is the end of text, which decodes to nothing.
class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr std::uint32_t kEndOfText = 256;

  std::vector<std::uint32_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::uint32_t> tokens) const override;
  std::int64_t vocabulary() const override { return 257; }
  std::optional<std::uint32_t> end_of_text() const override { return kEndOfText; }
  std::string serialise() const override { return R"({"type":"bytes"})"; }
  std::string kind() const override { return "bytes"; }
};

}  // namespace ingot
