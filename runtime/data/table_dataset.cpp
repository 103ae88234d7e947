#include "runtime/data/table_dataset.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ops/base/error.hpp"
#include "runtime/data/hdf5_writer.hpp"

namespace ingot {
namespace {

using Json = nlohmann::json;

std::string columns_text(const TableHeader& header) {
  Json categories = Json::array();
  for (const auto& column : header.categories) {
    categories.push_back({{"name", column.name}, {"values", column.values}});
  }
  const Json columns = {{"features", header.features},
                        {"categories", categories},
                        {"label", header.label},
                        {"classes", header.classes}};
  // Names are a user's bytes and need not be UTF-8.
  return columns.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void read_columns(const std::string& path, const std::string& text, TableHeader& header) {
  try {
    const Json columns = Json::parse(text);
    columns.at("features").get_to(header.features);
    for (const Json& column : columns.at("categories")) {
      header.categories.push_back({column.at("name").get<std::string>(),
                                   column.at("values").get<std::vector<std::string>>()});
    }
    columns.at("label").get_to(header.label);
    columns.at("classes").get_to(header.classes);
  } catch (const Json::exception& error) {
    fail(ExitCode::kBadData, "{}: /columns does not describe a table: {}; import it again", path,
         error.what());
  }
}

void expect_extent(const DatasetFile& file, const Hdf5Dataset& dataset, std::size_t dimension,
                   std::uint64_t expected) {
  if (dataset.extents[dimension] == expected) return;
  fail(ExitCode::kBadData, "{}: /{} has extent {} in dimension {}, expected {}", file.path(),
       dataset.name, dataset.extents[dimension], dimension, expected);
}

void check_features(const DatasetFile& file, const TableHeader& header,
                    const MappedArray<float>& features) {
  const std::size_t size = features.size();
  // NaN and infinity have all bits of the exponent set. One pass without branches.
  constexpr std::uint32_t kExponent = 0x7f800000;
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < size; ++i) {
    most = std::max(most, std::bit_cast<std::uint32_t>(features[i]) & kExponent);
  }
  if (most != kExponent) return;
  const std::size_t columns = header.features.size();
  for (std::size_t i = 0; i < size; ++i) {
    if (std::isfinite(features[i])) continue;
    fail(ExitCode::kBadData,
         "{}: /features is {} in row {}, column {} (\"{}\"), expected finite numbers; clean the "
         "data or import it with missing values filled",
         file.path(), features[i], i / columns, i % columns, header.features[i % columns]);
  }
}

std::uint64_t checksum_of_rows(std::span<const std::byte> features,
                               std::span<const std::byte> categories,
                               std::span<const std::byte> labels,
                               std::span<const std::byte> standardisation,
                               const std::string& columns) {
  std::uint64_t checksum = checksum_of(features);
  checksum = checksum_of(categories, checksum);
  checksum = checksum_of(labels, checksum);
  checksum = checksum_of(standardisation, checksum);
  return checksum_of(bytes_of(columns), checksum);
}

}  // namespace

std::int64_t TableHeader::category_rows() const {
  std::int64_t rows = 0;
  for (const auto& column : categories) rows += column.size();
  return rows;
}

TableHeader read_table_header(const DatasetFile& file) {
  file.expect(DataKind::kTable);
  TableHeader header;
  const auto columns = file.long_text("columns");
  if (!columns) fail(ExitCode::kBadData, "{}: has no /columns; import it again", file.path());
  read_columns(file.path(), *columns, header);
  header.source = file.text("source").value_or("");
  header.source_checksum = file.text("source_checksum").value_or("");
  if (header.classes.size() < 2) {
    fail(ExitCode::kBadData, "{}: has {} classes, expected at least 2", file.path(),
         header.classes.size());
  }
  if (header.features.empty() && header.categories.empty()) {
    fail(ExitCode::kBadData, "{}: has neither features nor categories", file.path());
  }
  return header;
}

TableDataset TableDataset::open(const std::string& path) {
  return from_file(DatasetFile(map_file(path)));
}

TableDataset TableDataset::from_file(const DatasetFile& file) {
  TableDataset set;
  set.path_ = file.path();
  set.owner_ = file.file().owner;
  set.header_ = read_table_header(file);
  TableHeader& header = set.header_;
  const Hdf5Dataset& features = file.require("features", 2);
  const Hdf5Dataset& categories = file.require("categories", 2);
  const Hdf5Dataset& labels = file.require("labels", 1);
  const Hdf5Dataset& standard = file.require("standardisation", 2);
  file.expect_type(features, {Hdf5Kind::kFloat, 4});
  file.expect_type(categories, {Hdf5Kind::kSigned, 4});
  file.expect_type(labels, {Hdf5Kind::kSigned, 4});
  file.expect_type(standard, {Hdf5Kind::kFloat, 4});
  expect_extent(file, features, 0, labels.extents[0]);
  expect_extent(file, features, 1, header.features.size());
  expect_extent(file, categories, 0, labels.extents[0]);
  expect_extent(file, categories, 1, header.categories.size());
  expect_extent(file, standard, 0, 2);
  expect_extent(file, standard, 1, header.features.size());
  set.features_ = file.array<float>(features);
  set.categories_ = file.array<std::int32_t>(categories);
  set.labels_ = file.array<std::int32_t>(labels);

  check_features(file, header, set.features_);
  for (std::size_t i = 0; i < set.categories_.size(); ++i) {
    const CategoryColumn& column = header.categories[i % header.categories.size()];
    if (set.categories_[i] < 0 || set.categories_[i] >= column.size()) {
      fail(ExitCode::kBadData, "{}: /categories is {} in row {}, column \"{}\", expected 0 to {}",
           file.path(), set.categories_[i], i / header.categories.size(), column.name,
           column.size() - 1);
    }
  }
  for (std::size_t i = 0; i < set.labels_.size(); ++i) {
    if (set.labels_[i] < 0 || set.labels_[i] >= set.class_count()) {
      fail(ExitCode::kBadData, "{}: /labels is {} in row {}, expected 0 to {}", file.path(),
           set.labels_[i], i, set.class_count() - 1);
    }
  }
  const auto values = file.array<float>(standard);
  for (std::size_t i = 0; i < header.features.size(); ++i) {
    header.mean.push_back(values[i]);
    header.deviation.push_back(values[header.features.size() + i]);
    if (!std::isfinite(header.mean[i]) || !std::isfinite(header.deviation[i]) ||
        header.deviation[i] <= 0) {
      fail(ExitCode::kBadData,
           "{}: /standardisation of column \"{}\" is mean {} and deviation {}, expected a finite "
           "mean and a positive deviation",
           file.path(), header.features[i], header.mean[i], header.deviation[i]);
    }
  }
  const auto raw = [&](const Hdf5Dataset& dataset) {
    return std::span(file.data(dataset), static_cast<std::size_t>(dataset.count * 4));
  };
  set.checksum_ =
      checksum_text(checksum_of_rows(raw(features), raw(categories), raw(labels), raw(standard),
                                     file.long_text("columns").value_or("")));
  file.verify_checksum(set.checksum_);
  return set;
}

float TableDataset::feature(std::int64_t row, std::int64_t column) const {
  return features_[static_cast<std::size_t>(row * feature_count() + column)];
}

std::int32_t TableDataset::category(std::int64_t row, std::int64_t column) const {
  return categories_[static_cast<std::size_t>(row * category_count() + column)];
}

void write_table_dataset(const std::string& path, const TableHeader& header,
                         const TableRows& rows) {
  const std::uint64_t count = rows.labels.size();
  ensure(rows.features.size() == count * header.features.size() &&
             rows.categories.size() == count * header.categories.size() &&
             header.mean.size() == header.features.size() &&
             header.deviation.size() == header.features.size(),
         "as many values as rows times columns");
  std::vector<float> standardisation = header.mean;
  standardisation.insert(standardisation.end(), header.deviation.begin(), header.deviation.end());
  const std::string columns = columns_text(header);
  const std::uint64_t checksum =
      checksum_of_rows(bytes_of(rows.features), bytes_of(rows.categories), bytes_of(rows.labels),
                       bytes_of(standardisation), columns);
  Hdf5Plan plan;
  plan.datasets = {{"features", {Hdf5Kind::kFloat, 4}, {count, header.features.size()}},
                   {"categories", {Hdf5Kind::kSigned, 4}, {count, header.categories.size()}},
                   {"labels", {Hdf5Kind::kSigned, 4}, {count}},
                   {"standardisation", {Hdf5Kind::kFloat, 4}, {2, header.features.size()}},
                   {"columns", {Hdf5Kind::kUnsigned, 1}, {columns.size()}}};
  plan.attributes = {{"format_version", kDatasetVersion},
                     {"kind", std::string("table")},
                     {"classes", static_cast<std::int64_t>(header.classes.size())},
                     {"checksum", checksum_text(checksum)},
                     {"source", header.source.substr(0, 4000)},
                     {"source_checksum", header.source_checksum}};
  Hdf5Writer writer(path, plan);
  writer.write(0, 0, bytes_of(rows.features));
  writer.write(1, 0, bytes_of(rows.categories));
  writer.write(2, 0, bytes_of(rows.labels));
  writer.write(3, 0, bytes_of(standardisation));
  writer.write(4, 0, bytes_of(columns));
  writer.commit();
}

}  // namespace ingot
