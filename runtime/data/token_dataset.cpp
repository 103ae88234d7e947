#include "runtime/data/token_dataset.hpp"

#include <algorithm>
#include <limits>

#include "ops/base/error.hpp"
#include "runtime/data/token_writer.hpp"

namespace ingot {
namespace {

/// The largest token. Blocks keep the loop free of branches, so that it is vectorised.
template <typename T>
std::uint32_t largest(const MappedArray<T>& tokens) {
  T most = 0;
  const std::size_t size = tokens.size();
  for (std::size_t i = 0; i < size; ++i) most = std::max(most, tokens[i]);
  return most;
}

template <typename T>
void check_tokens(const DatasetFile& file, const MappedArray<T>& tokens, std::int64_t vocabulary) {
  if (tokens.empty() || largest(tokens) < vocabulary) return;
  std::size_t offset = 0;
  while (tokens[offset] < vocabulary) ++offset;
  fail(ExitCode::kBadData,
       "{}: /tokens[{}] is {}, outside the vocabulary of {} tokens; import the data with the "
       "tokenizer it was made with",
       file.path(), offset, tokens[offset], vocabulary);
}

void check_documents(const DatasetFile& file, const MappedArray<std::uint64_t>& documents,
                     std::uint64_t tokens) {
  if (documents.empty() && tokens == 0) return;
  if (documents.empty() || documents[0] != 0) {
    fail(ExitCode::kBadData, "{}: /documents starts with {}, expected offset 0", file.path(),
         documents.empty() ? "nothing" : std::to_string(documents[0]));
  }
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (documents[i] >= tokens || (i > 0 && documents[i] <= documents[i - 1])) {
      fail(ExitCode::kBadData,
           "{}: /documents[{}] is {}, expected strictly ascending offsets below the {} tokens",
           file.path(), i, documents[i], tokens);
    }
  }
}

}  // namespace

TokenHeader read_token_header(const DatasetFile& file) {
  file.expect(DataKind::kTokens);
  TokenHeader header;
  const auto vocabulary = file.integer("vocabulary");
  if (!vocabulary || *vocabulary < 1 || *vocabulary > std::numeric_limits<std::int32_t>::max()) {
    fail(ExitCode::kBadData, "{}: attribute vocabulary is {}, expected 1 to 2147483647",
         file.path(), vocabulary ? std::to_string(*vocabulary) : "missing");
  }
  header.vocabulary = *vocabulary;
  if (const auto token = file.integer("end_of_text")) {
    if (*token < 0 || *token >= *vocabulary) {
      fail(ExitCode::kBadData, "{}: attribute end_of_text is {}, expected a token below {}",
           file.path(), *token, *vocabulary);
    }
    header.end_of_text = static_cast<std::uint32_t>(*token);
  }
  header.tokenizer = file.long_text("tokenizer").value_or("");
  header.source = file.text("source").value_or("");
  header.source_checksum = file.text("source_checksum").value_or("");
  return header;
}

TokenDataset TokenDataset::open(const std::string& path) {
  return from_file(DatasetFile(map_file(path)));
}

TokenDataset TokenDataset::from_file(const DatasetFile& file) {
  TokenDataset set;
  set.path_ = file.path();
  set.owner_ = file.file().owner;
  set.header_ = read_token_header(file);
  const Hdf5Dataset& tokens = file.require("tokens", 1);
  const Hdf5Dataset& documents = file.require("documents", 1);
  file.expect_type(documents, {Hdf5Kind::kUnsigned, 8});
  if (tokens.type == Hdf5Type{Hdf5Kind::kUnsigned, 2}) {
    set.narrow_ = file.array<std::uint16_t>(tokens);
    check_tokens(file, set.narrow_, set.vocabulary());
  } else {
    if (tokens.type != Hdf5Type{Hdf5Kind::kUnsigned, 4}) {
      fail(ExitCode::kBadData, "{}: /tokens holds {}, expected uint16 or uint32", file.path(),
           tokens.type.text());
    }
    set.wide_ = file.array<std::uint32_t>(tokens);
    check_tokens(file, set.wide_, set.vocabulary());
  }
  set.documents_ = file.array<std::uint64_t>(documents);
  check_documents(file, set.documents_, tokens.count);
  set.size_ = static_cast<std::int64_t>(tokens.count);
  const std::uint64_t of_tokens =
      checksum_of({file.data(tokens), static_cast<std::size_t>(tokens.count * tokens.type.bytes)});
  set.checksum_ = checksum_text(checksum_of(
      {file.data(documents), static_cast<std::size_t>(documents.count * 8)}, of_tokens));
  file.verify_checksum(set.checksum_);
  return set;
}

std::int64_t TokenDataset::document_start(std::int64_t document) const {
  return static_cast<std::int64_t>(documents_[static_cast<std::size_t>(document)]);
}

std::int64_t TokenDataset::document_end(std::int64_t document) const {
  return document + 1 < document_count() ? document_start(document + 1) : size_;
}

std::int64_t TokenDataset::document_at(std::int64_t offset) const {
  std::int64_t low = 0;  // the last document that starts at or before offset
  std::int64_t high = document_count();
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (document_start(middle) <= offset ? low : high) = middle;
  }
  return low;
}

void TokenDataset::copy(std::int64_t offset, std::span<std::int32_t> to) const {
  ensure(offset >= 0 && offset + static_cast<std::int64_t>(to.size()) <= size_,
         "a range inside the data set");
  const auto begin = static_cast<std::size_t>(offset);
  if (wide_.empty()) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = narrow_[begin + i];
  } else {
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<std::int32_t>(wide_[begin + i]);
    }
  }
}

void write_token_dataset(const std::string& path, const TokenHeader& header,
                         std::span<const std::uint32_t> tokens,
                         std::span<const std::uint64_t> documents) {
  TokenWriter writer(path, header);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const std::size_t end = i + 1 < documents.size() ? documents[i + 1] : tokens.size();
    writer.append(tokens.subspan(documents[i], end - documents[i]));
  }
  writer.commit();
}

}  // namespace ingot
