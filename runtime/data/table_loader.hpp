// Table data sets -> batches for the model: standardised features, category ids shifted into one
// embedding table for all columns, labels.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/data/sampler.hpp"
#include "runtime/data/table_dataset.hpp"

namespace ingot {

/// Windows on memory that the caller owns, allocated once. B rows, F features, K category columns.
struct TableBatch {
  std::span<float> features;           ///< [B, F] standardised
  std::span<std::int32_t> categories;  ///< [B, K] rows of the concatenated embedding table
  std::span<std::int32_t> labels;      ///< [B]; -1: not counted
  std::span<std::int64_t> samples;     ///< [B] global sample numbers
  std::int64_t counted = 0;            ///< labels that are not -1
};

/// A TableBatch with its own memory.
class TableBatchMemory {
 public:
  TableBatchMemory(std::int64_t rows, std::int64_t features, std::int64_t categories);
  TableBatch& batch() { return batch_; }
  const TableBatch& batch() const { return batch_; }

 private:
  std::vector<float> features_;
  std::vector<std::int32_t> numbers_;
  std::vector<std::int64_t> samples_;
  TableBatch batch_;
};

struct TableSource {
  std::shared_ptr<const TableDataset> set;
  double weight = 1.0;
};

struct TableLoaderOptions {
  SampleOrder order = SampleOrder::kShuffled;
  std::uint64_t seed = 1;
};

/// Pure after construction; fill() may be called from any number of threads.
class TableLoader {
 public:
  using Batch = TableBatch;
  using Memory = TableBatchMemory;

  /// Features are standardised by the first set's mean and deviation. Error(kBadData): no set, an
  /// empty set, sets with different columns; Error(kConfiguration): a weight that is not positive.
  TableLoader(std::vector<TableSource> sources, TableLoaderOptions options);

  const TableHeader& header() const { return sources_.front().set->header(); }
  std::int64_t feature_count() const { return sources_.front().set->feature_count(); }
  std::int64_t category_count() const { return sources_.front().set->category_count(); }
  std::int64_t category_rows() const { return sources_.front().set->category_rows(); }
  std::int64_t class_count() const { return sources_.front().set->class_count(); }
  /// Rows in one pass over all sets; in evaluation, all there are.
  std::int64_t samples_per_epoch() const { return sampler_.samples_per_epoch(); }
  /// Fills the first `count` rows with samples first_sample ... and the rest, as well as samples
  /// behind the end of an evaluation, with padding that is not counted.
  void fill(TableBatch& batch, std::int64_t first_sample, std::int64_t count) const;
  Memory make_memory(std::int64_t rows) const { return {rows, feature_count(), category_count()}; }

 private:
  std::vector<TableSource> sources_;
  Sampler sampler_;
  std::vector<std::int32_t> category_starts_;  // of each column in the embedding table
};

/// Refuses a validation set whose columns, categories or classes differ from the training set's.
void expect_equal_columns(const TableDataset& set, const TableDataset& reference);

}  // namespace ingot
