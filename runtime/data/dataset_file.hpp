// What token and table data sets have in common as files: names, attributes, and helpers that check
// an untrusted file against what is expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/data/file_bytes.hpp"
#include "runtime/data/hdf5_reader.hpp"

namespace ingot {

enum class DataKind : std::uint8_t { kTokens, kTable };

/// Version of the layout of data sets, attribute `format_version`.
constexpr std::int64_t kDatasetVersion = 1;

/// The described file, with checked access to what a data set needs.
class DatasetFile {
 public:
  /// Error(kBadData) unless it is an HDF5 file of a kind and version that this ingot reads.
  explicit DatasetFile(FileBytes file, bool verify_checksums = true);

  const std::string& path() const { return file_.path; }
  const FileBytes& file() const { return file_; }
  DataKind kind() const { return kind_; }

  /// Refuses the file when it is not of this kind.
  void expect(DataKind kind) const;
  /// A dataset that has to exist with this rank; the type is the caller's to check.
  const Hdf5Dataset& require(const std::string& name, std::size_t rank) const;
  const Hdf5Dataset* find(const std::string& name) const { return contents_.find(name); }
  /// Refuses a dataset of another element type.
  void expect_type(const Hdf5Dataset& dataset, Hdf5Type type) const;
  std::optional<std::int64_t> integer(const std::string& attribute) const;
  std::optional<std::string> text(const std::string& attribute) const;
  /// The contents of a uint8 dataset of rank 1, or nothing when there is no such dataset.
  std::optional<std::string> long_text(const std::string& name) const;
  const std::byte* data(const Hdf5Dataset& dataset) const {
    return file_.bytes.data() + dataset.offset;
  }
  template <typename T>
  MappedArray<T> array(const Hdf5Dataset& dataset) const {
    return {data(dataset), static_cast<std::size_t>(dataset.count)};
  }
  /// Compares the attribute `checksum`, where there is one, with that of the data.
  void verify_checksum(const std::string& found) const;

 private:
  FileBytes file_;
  Hdf5Contents contents_;
  DataKind kind_ = DataKind::kTokens;
};

/// XXH3 (64 bits) of some bytes in hexadecimal, as it is stored in data sets. `seed` chains arrays.
std::string checksum_text(std::uint64_t checksum);
std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed = 0);

/// `text.h5` -> `text.validation.h5`: where import writes the validation part, and the default of
/// the key data.validation.
std::string validation_path(const std::string& path);

}  // namespace ingot
