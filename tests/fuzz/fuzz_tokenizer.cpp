// Tokenizer files that nobody vouches for: whatever the bytes, they are refused with a kBadData
// error or give a tokenizer that returns any text exactly and survives being stored.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ops/base/error.hpp"
#include "runtime/data/tokenizer/bounded_json.hpp"
#include "runtime/data/tokenizer/bpe_files.hpp"
#include "runtime/data/tokenizer/tokenizer.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const ingot::Tokenizer& tokenizer, std::string_view text) {
  const auto tokens = tokenizer.encode(text);
  for (const auto token : tokens) require(token < tokenizer.vocabulary());
  require(tokenizer.decode(tokens) == text);
  const std::string stored = tokenizer.serialise();
  const auto restored = ingot::restore_tokenizer(stored);
  require(restored->serialise() == stored);
  require(restored->encode(text) == tokens);
}

}  // namespace

/// The input is a tokenizer.json or, behind the first byte 1, vocab.json NUL merges.txt; the text
/// to encode follows a NUL, and is the file itself where there is none.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const bool is_pair = input.starts_with('\x01');
  const std::string_view file = input.substr(is_pair ? 1 : 0);
  const std::size_t middle = file.find('\0');
  const std::string_view first = file.substr(0, middle);
  const std::string_view second = middle == std::string_view::npos ? file : file.substr(middle + 1);
  try {
    if (is_pair) {
      const auto vocabulary = ingot::parse_bounded_json(first, "vocab.json");
      check(*ingot::bpe_from_gpt2_pair(vocabulary, "vocab.json", std::string(second), "merges.txt"),
            second);
    } else {
      check(*ingot::restore_tokenizer(std::string(first), "tokenizer.json"), second);
    }
  } catch (const ingot::Error& error) {
    require(error.code() == ingot::ExitCode::kBadData);
  }
  return 0;
}
