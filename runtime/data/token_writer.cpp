#include "runtime/data/token_writer.hpp"

#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>

#include "ops/base/error.hpp"
#include "runtime/data/hdf5_writer.hpp"

namespace ingot {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

[[noreturn]] void fail_to_write(const std::string& path) {
  fail(ExitCode::kCannotWrite,
       "{}: cannot write beside it: {}; check the folder, its permissions and free space", path,
       std::strerror(errno));
}

template <typename T>
void put(std::vector<std::byte>& buffer, std::span<const std::uint32_t> tokens) {
  const std::size_t start = buffer.size();
  buffer.resize(start + tokens.size() * sizeof(T));
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const T token = static_cast<T>(tokens[i]);
    std::memcpy(buffer.data() + start + i * sizeof(T), &token, sizeof(T));
  }
}

}  // namespace

TokenWriter::TokenWriter(std::string path, TokenHeader header)
    : path_(std::move(path)), header_(std::move(header)), wide_(header_.vocabulary > 65536) {
  std::string name = path_ + ".tokens-XXXXXX";
  descriptor_ = mkostemp(name.data(), 0);
  if (descriptor_ < 0) fail_to_write(path_);
  unlink(name.c_str());  // gone with the descriptor, however this process ends
}

TokenWriter::~TokenWriter() {
  close(descriptor_);
}

void TokenWriter::append(std::span<const std::uint32_t> document) {
  if (document.empty()) return;
  for (std::size_t i = 0; i < document.size(); ++i) {
    if (document[i] >= header_.vocabulary) {
      fail(ExitCode::kBadData, "token {} of document {} is {}, outside the vocabulary of {} tokens",
           i, starts_.size(), document[i], header_.vocabulary);
    }
  }
  starts_.push_back(tokens_);
  tokens_ += document.size();
  while (!document.empty()) {
    const auto piece = document.first(std::min(document.size(), kBufferBytes));
    wide_ ? put<std::uint32_t>(buffer_, piece) : put<std::uint16_t>(buffer_, piece);
    document = document.subspan(piece.size());
    if (buffer_.size() >= kBufferBytes) flush();
  }
}

void TokenWriter::flush() {
  std::span<const std::byte> rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_to_write(path_);
    rest = rest.subspan(static_cast<std::size_t>(written));
  }
  buffer_.clear();
}

void TokenWriter::commit() {
  flush();
  const std::uint8_t token_bytes = wide_ ? 4 : 2;
  // The checksum is an attribute, which is written with the file's structure: it has to be known
  // first, so the temporary file is read twice.
  const auto for_each_piece = [&](auto&& use) {
    buffer_.resize(kBufferBytes);
    std::uint64_t position = 0;
    while (position < tokens_ * token_bytes) {
      const ssize_t got =
          pread(descriptor_, buffer_.data(), buffer_.size(), static_cast<off_t>(position));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail_to_write(path_);
      use(position, std::span<const std::byte>(buffer_).first(static_cast<std::size_t>(got)));
      position += static_cast<std::uint64_t>(got);
    }
    buffer_.clear();
  };
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  XXH3_64bits_reset_withSeed(state.get(), 0);
  for_each_piece([&](std::uint64_t, std::span<const std::byte> piece) {
    XXH3_64bits_update(state.get(), piece.data(), piece.size());
  });
  const std::uint64_t checksum = checksum_of(bytes_of(starts_), XXH3_64bits_digest(state.get()));

  Hdf5Plan plan;
  plan.datasets = {{"tokens", {Hdf5Kind::kUnsigned, token_bytes}, {tokens_}},
                   {"documents", {Hdf5Kind::kUnsigned, 8}, {starts_.size()}},
                   {"tokenizer", {Hdf5Kind::kUnsigned, 1}, {header_.tokenizer.size()}}};
  plan.attributes = {
      {"format_version", kDatasetVersion},        {"kind", std::string("tokens")},
      {"vocabulary", header_.vocabulary},         {"checksum", checksum_text(checksum)},
      {"source", header_.source.substr(0, 4000)}, {"source_checksum", header_.source_checksum}};
  if (header_.end_of_text) {
    plan.attributes.emplace_back("end_of_text", static_cast<std::int64_t>(*header_.end_of_text));
  }
  Hdf5Writer writer(path_, plan);
  for_each_piece([&](std::uint64_t position, std::span<const std::byte> piece) {
    writer.write(0, position, piece);
  });
  writer.write(1, 0, bytes_of(starts_));
  writer.write(2, 0, bytes_of(header_.tokenizer));
  writer.commit();
}

}  // namespace ingot
