// A data set of tokens: `/tokens` (uint16 or uint32), `/documents` (uint64 offsets at which
// documents start, the first one 0), `/tokenizer` (uint8: the serialised tokenizer; a dataset
// because HDF5 keeps attributes below 64 KB) and the attributes format_version, kind, vocabulary,
// end_of_text, checksum, source, source_checksum. Documents lie one behind the other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/data/dataset_file.hpp"

namespace ingot {

/// What a token data set says about itself.
struct TokenHeader {
  std::int64_t vocabulary = 0;               ///< every token is below
  std::optional<std::uint32_t> end_of_text;  ///< the token that ends (or begins) documents
  std::string tokenizer;                     ///< Tokenizer::serialise(); empty: unknown
  std::string source;                        ///< the imported files, for people
  std::string source_checksum;
};

/// The header alone, for who wants to know what the tokens are and not to read them. Error
/// (kBadData).
TokenHeader read_token_header(const DatasetFile& file);

/// An opened, completely validated set. Reading is thread-safe; the file stays mapped while it
/// lives.
class TokenDataset {
 public:
  /// Error(kBadData) names what is wrong: a foreign or damaged file, a token outside the
  /// vocabulary, documents that do not ascend.
  static TokenDataset open(const std::string& path);
  static TokenDataset from_file(const DatasetFile& file);

  const std::string& path() const { return path_; }
  const TokenHeader& header() const { return header_; }
  std::int64_t vocabulary() const { return header_.vocabulary; }
  std::int64_t size() const { return size_; }  ///< tokens
  std::int64_t document_count() const { return static_cast<std::int64_t>(documents_.size()); }
  std::int64_t document_start(std::int64_t document) const;
  /// Offset behind a document's last token.
  std::int64_t document_end(std::int64_t document) const;
  /// Number of the document that the token at `offset` belongs to.
  std::int64_t document_at(std::int64_t offset) const;
  /// Tokens [offset, offset + to.size()) as i32, the type that ops read.
  void copy(std::int64_t offset, std::span<std::int32_t> to) const;
  const std::string& checksum() const { return checksum_; }  ///< of tokens and documents
  int token_bytes() const { return wide_.empty() ? 2 : 4; }

 private:
  std::string path_;
  std::shared_ptr<const void> owner_;
  TokenHeader header_;
  std::string checksum_;
  MappedArray<std::uint16_t> narrow_;  // exactly one of narrow_ and wide_ holds the tokens
  MappedArray<std::uint32_t> wide_;
  MappedArray<std::uint64_t> documents_;
  std::int64_t size_ = 0;
};

/// Writes a set; tokens become uint16 where the vocabulary fits. `documents` are start offsets.
/// Error(kCannotWrite).
void write_token_dataset(const std::string& path, const TokenHeader& header,
                         std::span<const std::uint32_t> tokens,
                         std::span<const std::uint64_t> documents);

}  // namespace ingot
