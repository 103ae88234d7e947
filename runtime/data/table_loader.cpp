#include "runtime/data/table_loader.hpp"

#include <algorithm>
#include <cmath>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

std::size_t index_of(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

std::vector<TableSource> checked(std::vector<TableSource> sources) {
  if (sources.empty()) fail(ExitCode::kBadData, "no data set to read; set data.train");
  for (const TableSource& source : sources) {
    if (!(source.weight > 0) || !std::isfinite(source.weight)) {
      fail(ExitCode::kConfiguration, "{}: weight {} in the mixture, expected a positive number",
           source.set->path(), source.weight);
    }
    if (source.set->rows() == 0) {
      fail(ExitCode::kBadData, "{}: holds no rows, expected at least 1", source.set->path());
    }
    expect_equal_columns(*source.set, *sources.front().set);
  }
  return sources;
}

Sampler make_sampler(const std::vector<TableSource>& sources, const TableLoaderOptions& options) {
  std::vector<std::int64_t> counts;
  std::vector<double> weights;
  for (const TableSource& source : sources) {
    counts.push_back(source.set->rows());
    weights.push_back(source.weight);
  }
  return {std::move(counts), weights, options.seed, options.order};
}

}  // namespace

void expect_equal_columns(const TableDataset& set, const TableDataset& reference) {
  const TableHeader& a = set.header();
  const TableHeader& b = reference.header();
  const char* difference = a.features != b.features       ? "numeric columns"
                           : a.categories != b.categories ? "categories"
                           : a.classes != b.classes       ? "classes"
                                                          : nullptr;
  if (difference != nullptr) {
    fail(ExitCode::kBadData, "{}: has other {} than {}; import both from one table", set.path(),
         difference, reference.path());
  }
}

TableBatchMemory::TableBatchMemory(std::int64_t rows, std::int64_t features,
                                   std::int64_t categories)
    : features_(index_of(rows * features)),
      numbers_(index_of(rows * (categories + 1))),
      samples_(index_of(rows)) {
  const std::span<std::int32_t> numbers = numbers_;
  batch_.features = features_;
  batch_.categories = numbers.first(index_of(rows * categories));
  batch_.labels = numbers.last(index_of(rows));
  batch_.samples = samples_;
}

TableLoader::TableLoader(std::vector<TableSource> sources, TableLoaderOptions options)
    : sources_(checked(std::move(sources))), sampler_(make_sampler(sources_, options)) {
  if (category_rows() > std::int64_t{1} << 31) {
    fail(ExitCode::kBadData, "{}: {} categories in all columns together, expected at most 2^31",
         sources_.front().set->path(), category_rows());
  }
  std::int64_t start = 0;
  for (const CategoryColumn& column : header().categories) {
    category_starts_.push_back(static_cast<std::int32_t>(start));
    start += column.size();
  }
}

void TableLoader::fill(TableBatch& batch, std::int64_t first_sample, std::int64_t count) const {
  const auto rows = static_cast<std::int64_t>(batch.labels.size());
  const std::int64_t features = feature_count();
  const std::int64_t categories = category_count();
  ensure(batch.features.size() == index_of(rows * features) &&
             batch.categories.size() == index_of(rows * categories) && count <= rows,
         "a batch of the loader's columns");
  const TableHeader& scale = header();
  batch.counted = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t sample = first_sample + row;
    batch.samples[index_of(row)] = sample;
    const auto to_features = batch.features.subspan(index_of(row * features), index_of(features));
    const auto to_categories =
        batch.categories.subspan(index_of(row * categories), index_of(categories));
    if (row >= count || !sampler_.exists(sample)) {
      std::ranges::fill(to_features, 0.0F);
      // Id 0 of each column, so that padding too is a row of the table.
      std::ranges::copy(category_starts_, to_categories.begin());
      batch.labels[index_of(row)] = -1;
      continue;
    }
    const SampleAddress address = sampler_.at(sample);
    const TableDataset& set = *sources_[index_of(address.set)].set;
    for (std::int64_t f = 0; f < features; ++f) {
      const std::size_t at = index_of(f);
      to_features[at] = (set.feature(address.index, f) - scale.mean[at]) / scale.deviation[at];
    }
    for (std::int64_t k = 0; k < categories; ++k) {
      to_categories[index_of(k)] = category_starts_[index_of(k)] + set.category(address.index, k);
    }
    batch.labels[index_of(row)] = set.label(address.index);
    ++batch.counted;
  }
}

}  // namespace ingot
