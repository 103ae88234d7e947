#include "runtime/data/dataset_file.hpp"

#include <xxhash.h>

#include <filesystem>

#include "ops/base/error.hpp"

namespace ingot {

DatasetFile::DatasetFile(FileBytes file, bool verify_checksums)
    : file_(std::move(file)), contents_(read_hdf5(file_, verify_checksums)) {
  const auto version = integer("format_version");
  const auto kind = text("kind");
  if (!version || !kind) {
    fail(ExitCode::kBadData,
         "{}: an HDF5 file, but no data set of ingot: it lacks the attributes format_version "
         "and kind; make data sets with `ingot data import`",
         path());
  }
  if (*version != kDatasetVersion) {
    fail(ExitCode::kBadData,
         "{}: data set of format version {}, expected {}; import it again with this ingot", path(),
         *version, kDatasetVersion);
  }
  if (*kind != "tokens" && *kind != "table") {
    fail(ExitCode::kBadData, "{}: data set of kind \"{}\", expected \"tokens\" or \"table\"",
         path(), *kind);
  }
  kind_ = *kind == "tokens" ? DataKind::kTokens : DataKind::kTable;
}

void DatasetFile::expect(DataKind kind) const {
  if (kind == kind_) return;
  fail(ExitCode::kBadData, "{}: holds {}, expected {}", path(),
       kind_ == DataKind::kTokens ? "tokens (for model.kind gpt)" : "a table (for model.kind mlp)",
       kind == DataKind::kTokens ? "tokens" : "a table");
}

const Hdf5Dataset& DatasetFile::require(const std::string& name, std::size_t rank) const {
  const Hdf5Dataset* dataset = find(name);
  if (dataset == nullptr) {
    fail(ExitCode::kBadData, "{}: has no /{}; import it again with `ingot data import`", path(),
         name);
  }
  if (dataset->extents.size() != rank) {
    fail(ExitCode::kBadData, "{}: /{} has {} dimensions, expected {}", path(), name,
         dataset->extents.size(), rank);
  }
  return *dataset;
}

void DatasetFile::expect_type(const Hdf5Dataset& dataset, Hdf5Type type) const {
  if (dataset.type == type) return;
  fail(ExitCode::kBadData, "{}: /{} holds {}, expected {}", path(), dataset.name,
       dataset.type.text(), type.text());
}

std::optional<std::int64_t> DatasetFile::integer(const std::string& attribute) const {
  const Hdf5Attribute* found = contents_.find_attribute(attribute);
  if (found == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<std::int64_t>(&found->value)) return *value;
  fail(ExitCode::kBadData, "{}: the attribute {} is not one integer", path(), attribute);
}

std::optional<std::string> DatasetFile::text(const std::string& attribute) const {
  const Hdf5Attribute* found = contents_.find_attribute(attribute);
  if (found == nullptr) return std::nullopt;
  if (const auto* value = std::get_if<std::string>(&found->value)) return *value;
  fail(ExitCode::kBadData, "{}: the attribute {} is not one text", path(), attribute);
}

std::optional<std::string> DatasetFile::long_text(const std::string& name) const {
  if (find(name) == nullptr) return std::nullopt;
  const Hdf5Dataset& dataset = require(name, 1);
  expect_type(dataset, {Hdf5Kind::kUnsigned, 1});
  return std::string(reinterpret_cast<const char*>(data(dataset)),
                     static_cast<std::size_t>(dataset.count));
}

void DatasetFile::verify_checksum(const std::string& found) const {
  const auto expected = text("checksum");
  if (expected && *expected != found) {
    fail(ExitCode::kBadData,
         "{}: damaged: the data have checksum {}, expected {}; copy or import it again", path(),
         found, *expected);
  }
}

std::string checksum_text(std::uint64_t checksum) {
  return fmt::format("{:016x}", checksum);
}

std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string validation_path(const std::string& path) {
  const std::filesystem::path whole(path);
  std::filesystem::path result = whole;
  result.replace_extension();
  result += ".validation";
  result += whole.extension();
  return result.string();
}

}  // namespace ingot
