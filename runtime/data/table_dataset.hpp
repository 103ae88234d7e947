// A data set of table rows: `/features` [rows, columns] float32 as imported, `/categories`
// [rows, k] int32 ids (0: unknown), `/labels` int32 [rows], `/standardisation` float32
// [2, columns] (mean and standard deviation of the training part; both parts carry the same) and
// `/columns` (uint8: JSON with column names, category vocabularies and class names); attributes
// format_version, kind, classes, checksum, source, source_checksum.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/data/dataset_file.hpp"

namespace ingot {

struct CategoryColumn {
  std::string name;
  std::vector<std::string> values;  ///< of ids 1, 2, ...; id 0 is any other value

  std::int64_t size() const { return static_cast<std::int64_t>(values.size()) + 1; }
  friend bool operator==(const CategoryColumn&, const CategoryColumn&) = default;
};

/// What a table says about its columns; the same for training and validation.
struct TableHeader {
  std::vector<std::string> features;
  std::vector<CategoryColumn> categories;
  std::string label;
  std::vector<std::string> classes;  ///< what label 0, 1, ... stand for
  std::vector<float> mean;           ///< of each feature, over training rows
  std::vector<float> deviation;      ///< standard deviation; 1 where a feature is constant
  std::string source;
  std::string source_checksum;

  /// Rows of the one embedding table that holds all category columns one behind the other.
  std::int64_t category_rows() const;
};

/// The header alone, without mean and deviation, for who wants to know what the columns are and not
/// to read them. Error(kBadData).
TableHeader read_table_header(const DatasetFile& file);

/// Rows in memory, row-major, as they are written.
struct TableRows {
  std::vector<float> features;
  std::vector<std::int32_t> categories;
  std::vector<std::int32_t> labels;
};

/// An opened, completely validated table. Reading is thread-safe.
class TableDataset {
 public:
  /// Error(kBadData) names what is wrong: a foreign or damaged file, NaN (with row and column), ids
  /// and labels out of range.
  static TableDataset open(const std::string& path);
  static TableDataset from_file(const DatasetFile& file);

  const std::string& path() const { return path_; }
  const TableHeader& header() const { return header_; }
  std::int64_t rows() const { return static_cast<std::int64_t>(labels_.size()); }
  std::int64_t feature_count() const { return static_cast<std::int64_t>(header_.features.size()); }
  std::int64_t category_count() const {
    return static_cast<std::int64_t>(header_.categories.size());
  }
  std::int64_t class_count() const { return static_cast<std::int64_t>(header_.classes.size()); }
  std::int64_t category_rows() const { return header_.category_rows(); }
  float feature(std::int64_t row, std::int64_t column) const;
  std::int32_t category(std::int64_t row, std::int64_t column) const;
  std::int32_t label(std::int64_t row) const { return labels_[static_cast<std::size_t>(row)]; }
  const std::string& checksum() const { return checksum_; }

 private:
  std::string path_;
  std::shared_ptr<const void> owner_;
  TableHeader header_;
  std::string checksum_;
  MappedArray<float> features_;
  MappedArray<std::int32_t> categories_;
  MappedArray<std::int32_t> labels_;
};

/// Error(kCannotWrite).
void write_table_dataset(const std::string& path, const TableHeader& header, const TableRows& rows);

}  // namespace ingot
