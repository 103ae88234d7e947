// The data of a run, whatever its kind: batches for training in the order of the sampler, batches
// of the validation set once through, and what the data decides about the model.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/config/config.hpp"
#include "runtime/data/sampler.hpp"
#include "runtime/model/model.hpp"
#include "runtime/train/engine.hpp"

namespace ingot {

/// A batch as the engine loads it, valid until the next one is asked for.
struct FeedBatch {
  std::vector<HostTensor> tensors;
  double counted = 0;
  std::vector<std::int32_t> labels;  ///< tables, evaluation only; -1: padding
};

/// Training batches, filled ahead by a thread.
class TrainingFeed {
 public:
  virtual ~TrainingFeed() = default;
  virtual const FeedBatch& next() = 0;
  virtual double waited_seconds() const = 0;  ///< that next() waited so far
};

/// Batches of a pass over a set; any batch can be asked for in any order.
class EvaluationFeed {
 public:
  virtual ~EvaluationFeed() = default;
  virtual std::int64_t samples() const = 0;
  /// Rows `first_sample` ... of a batch of the configured size, padded where the set ends.
  virtual const FeedBatch& batch(std::int64_t first_sample) = 0;
};

/// What inference needs to know about the data after training, kept in checkpoints.
struct DataDescription {
  ModelData model;
  std::string tokenizer;  ///< serialised; empty for tables
  std::string columns;    ///< tables: names of columns and classes as JSON; empty for tokens
  std::string checksum;   ///< of all training sets
};

class RunData {
 public:
  virtual ~RunData() = default;
  virtual const DataDescription& description() const = 0;
  /// Samples that make one epoch.
  virtual std::int64_t samples_per_epoch() const = 0;
  /// Tokens that one sample holds; 1 for a row.
  virtual std::int64_t tokens_per_sample() const = 0;
  virtual std::unique_ptr<TrainingFeed> train(const SampleAssignment& assignment,
                                              std::int64_t first_step) const = 0;
  /// Null where the run has no validation set.
  virtual std::unique_ptr<EvaluationFeed> validation(std::int64_t rows) const = 0;
};

/// Opens and validates the sets that the configuration names; throws Error(kBadData), or
/// Error(kConfiguration) where they do not fit the model.
std::unique_ptr<RunData> open_run_data(const Config& config);

/// What the first training set decides about the model, from its header alone: the data are not
/// read. With model.vocabulary the set of a gpt need not exist. Throws as open_run_data().
ModelData read_model_data(const Config& config);

/// A pass over the set at `path` for a model that was trained already: `trained` is what its data
/// decided. Throws Error(kBadData) where the set does not fit the model.
std::unique_ptr<EvaluationFeed> open_evaluation(const Config& config, const std::string& path,
                                                const DataDescription& trained);

}  // namespace ingot
