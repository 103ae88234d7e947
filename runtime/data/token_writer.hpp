// Writes a token data set document by document, with the number of tokens known only at the end:
// tokens go through an unlinked temporary file beside the result.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/data/token_dataset.hpp"

namespace ingot {

class TokenWriter {
 public:
  /// Error(kCannotWrite) when nothing can be written beside `path`.
  TokenWriter(std::string path, TokenHeader header);
  ~TokenWriter();
  TokenWriter(const TokenWriter&) = delete;
  TokenWriter& operator=(const TokenWriter&) = delete;

  /// Appends one document; an empty one is left out. Error(kBadData) for tokens outside the
  /// vocabulary.
  void append(std::span<const std::uint32_t> document);
  std::int64_t tokens() const { return static_cast<std::int64_t>(tokens_); }
  std::int64_t documents() const { return static_cast<std::int64_t>(starts_.size()); }
  /// What the header says of the source is often known late.
  TokenHeader& header() { return header_; }
  /// Writes the data set under its name.
  void commit();

 private:
  void flush();

  std::string path_;
  TokenHeader header_;
  int descriptor_ = -1;
  bool wide_ = false;
  std::uint64_t tokens_ = 0;
  std::vector<std::uint64_t> starts_;
  std::vector<std::byte> buffer_;  // tokens not yet in the temporary file
};

}  // namespace ingot
