// Text to token ids and back. Every tokenizer of ingot works on bytes, so that any text, invalid
// UTF-8 included, comes back exactly; the one thing to know is that `encode` adds no tokens of its
// own: whoever joins documents puts `end_of_text()` between them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// An immutable tokenizer; safe to use from several threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Token ids of `text`, each below vocabulary(). decode(encode(text)) == text for any bytes.
  virtual std::vector<std::uint32_t> encode(std::string_view text) const = 0;

  /// The bytes that `tokens` stand for. Decoding token by token gives the same bytes, but one token
  /// may hold a part of a UTF-8 character. Fails with kBadData on an id outside the vocabulary.
  virtual std::string decode(std::span<const std::uint32_t> tokens) const = 0;

  /// Number of ids; they are 0 ... vocabulary() - 1 without gaps.
  virtual std::int64_t vocabulary() const = 0;

  /// The id that separates documents, where the tokenizer has one.
  virtual std::optional<std::uint32_t> end_of_text() const = 0;

  /// JSON text that restore_tokenizer() turns into an equal tokenizer; equal tokenizers give equal
  /// text. A byte-level BPE gives the text of a Hugging Face `tokenizer.json` (megabytes for a
  /// large vocabulary), bytes a line.
  virtual std::string serialise() const = 0;

  /// "bytes" or "bpe".
  virtual std::string kind() const = 0;
};

/// The tokenizer named by `spec`: "bytes", a Hugging Face `tokenizer.json`, a folder that holds one
/// or GPT-2's `vocab.json` and `merges.txt`, or such a `vocab.json` with its `merges.txt` beside
/// it. Fails with kBadData where the file is missing, broken, or asks for what ingot does not
/// support.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& spec);

/// The tokenizer that serialise() described. `origin` names where the text comes from ("data set
/// train.h5") and opens the message of the kBadData error that a broken text ends with.
std::unique_ptr<Tokenizer> restore_tokenizer(const std::string& serialised,
                                             const std::string& origin = "stored tokenizer");

/// Writes serialise() to `path`, by rename so that no half file is seen. Fails with kCannotWrite.
void write_tokenizer(const Tokenizer& tokenizer, const std::string& path);

}  // namespace ingot
