#include "runtime/train/data_feed.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/config/load.hpp"
#include "runtime/data/prefetcher.hpp"
#include "runtime/data/table_loader.hpp"
#include "runtime/data/token_loader.hpp"

namespace ingot {

namespace {

template <typename T>
HostTensor host(const char* name, std::span<T> data) {
  return {name, data.data(), static_cast<std::int64_t>(data.size_bytes())};
}

void describe(const TokenBatch& batch, FeedBatch& feed) {
  feed.tensors = {host(buffer::kTokens, batch.tokens), host(buffer::kTargets, batch.targets),
                  host(buffer::kPositions, batch.positions),
                  host(buffer::kDocuments, batch.documents), host(buffer::kSamples, batch.samples)};
  feed.counted = static_cast<double>(batch.counted);
}

void describe(const TableBatch& batch, FeedBatch& feed) {
  feed.tensors = {host(buffer::kFeatures, batch.features),
                  host(buffer::kCategories, batch.categories), host(buffer::kLabels, batch.labels),
                  host(buffer::kSamples, batch.samples)};
  feed.counted = static_cast<double>(batch.counted);
}

void copy_labels(const TokenBatch& /*batch*/, FeedBatch& /*feed*/) {}
void copy_labels(const TableBatch& batch, FeedBatch& feed) {
  feed.labels.assign(batch.labels.begin(), batch.labels.end());
}

template <typename Loader>
class LoaderTrainingFeed final : public TrainingFeed {
 public:
  LoaderTrainingFeed(const Loader& loader, const SampleAssignment& assignment,
                     std::int64_t first_step)
      : prefetcher_(loader, assignment, first_step) {
    feed_.tensors.reserve(8);
  }
  const FeedBatch& next() override {
    describe(prefetcher_.next(), feed_);
    return feed_;
  }
  double waited_seconds() const override { return prefetcher_.waited_seconds(); }

 private:
  Prefetcher<Loader> prefetcher_;
  FeedBatch feed_;
};

template <typename Loader>
class LoaderEvaluationFeed final : public EvaluationFeed {
 public:
  LoaderEvaluationFeed(Loader loader, std::int64_t rows)
      : loader_(std::move(loader)), rows_(rows), memory_(loader_.make_memory(rows)) {}
  std::int64_t samples() const override { return loader_.samples_per_epoch(); }
  const FeedBatch& batch(std::int64_t first_sample) override {
    loader_.fill(memory_.batch(), first_sample, rows_);
    describe(memory_.batch(), feed_);
    copy_labels(memory_.batch(), feed_);
    return feed_;
  }

 private:
  Loader loader_;
  std::int64_t rows_;
  typename Loader::Memory memory_;
  FeedBatch feed_;
};

std::vector<DataSource> training_sources(const Config& config) {
  if (!config.data.mixture.empty()) return config.data.mixture;
  return {{config.data.train, 1.0}};
}

/// The validation set's path, empty where there is none: a set that is named must exist, the
/// default beside the training set may be missing.
std::string validation_set(const Config& config) {
  if (!config.data.validation.empty()) return config.data.validation;
  const std::string path = validation_path(config);
  return !path.empty() && std::filesystem::exists(path) ? path : "";
}

TokenLoader token_loader(const Config& config, const std::vector<DataSource>& paths,
                         SampleOrder order) {
  std::vector<TokenSource> sources;
  for (const DataSource& source : paths) {
    sources.push_back(
        {std::make_shared<TokenDataset>(TokenDataset::open(source.path)), source.weight});
  }
  TokenLoaderOptions options;
  options.context = config.model.context;
  options.document_mask = config.model.document_mask;
  options.reset_positions = config.model.reset_positions;
  options.order = order;
  options.seed = config.run.seed;
  return {std::move(sources), options};
}

TableLoader table_loader(const Config& config, const std::vector<DataSource>& paths,
                         SampleOrder order) {
  std::vector<TableSource> sources;
  for (const DataSource& source : paths) {
    sources.push_back(
        {std::make_shared<TableDataset>(TableDataset::open(source.path)), source.weight});
  }
  return {std::move(sources), {order, config.run.seed}};
}

/// Rows of the token embedding, for training sets whose first is at `path`.
std::int64_t vocabulary_of_model(const Config& config, const std::string& path,
                                 std::int64_t vocabulary) {
  if (config.model.vocabulary != 0 && config.model.vocabulary < vocabulary) {
    fail(ExitCode::kConfiguration,
         "model.vocabulary is {}, but the tokens of {} reach up to {}: set at least {}, or leave "
         "the key out",
         config.model.vocabulary, path, vocabulary - 1, vocabulary);
  }
  return config.model.vocabulary != 0 ? config.model.vocabulary : vocabulary;
}

void require_classes(const std::string& path, std::int64_t classes) {
  if (classes >= 2) return;
  fail(ExitCode::kBadData, "{}: the label has one value only; a classifier needs at least two",
       path);
}

class TokenRunData final : public RunData {
 public:
  explicit TokenRunData(const Config& config)
      : config_(config),
        loader_(token_loader(config, training_sources(config), SampleOrder::kShuffled)) {
    const std::string validation = validation_set(config);
    if (!validation.empty()) {
      validation_.emplace(token_loader(config, {{validation, 1.0}}, SampleOrder::kSequential));
      if (validation_->vocabulary() != loader_.vocabulary()) {
        fail(ExitCode::kBadData,
             "{}: vocabulary {}, but the training set has {}: import both with one tokenizer",
             validation, validation_->vocabulary(), loader_.vocabulary());
      }
    }
    description_.model.vocabulary =
        vocabulary_of_model(config, loader_.sources().front().set->path(), loader_.vocabulary());
    description_.tokenizer = loader_.sources().front().set->header().tokenizer;
    for (const TokenSource& source : loader_.sources()) {
      description_.checksum += (description_.checksum.empty() ? "" : "+") + source.set->checksum();
    }
  }

  const DataDescription& description() const override { return description_; }
  std::int64_t samples_per_epoch() const override { return loader_.samples_per_epoch(); }
  std::int64_t tokens_per_sample() const override { return config_.model.context; }
  std::unique_ptr<TrainingFeed> train(const SampleAssignment& assignment,
                                      std::int64_t first_step) const override {
    return std::make_unique<LoaderTrainingFeed<TokenLoader>>(loader_, assignment, first_step);
  }
  std::unique_ptr<EvaluationFeed> validation(std::int64_t rows) const override {
    if (!validation_) return nullptr;
    return std::make_unique<LoaderEvaluationFeed<TokenLoader>>(*validation_, rows);
  }

 private:
  Config config_;
  TokenLoader loader_;
  std::optional<TokenLoader> validation_;
  DataDescription description_;
};

/// Names of columns and classes, for reports on a checkpoint.
std::string describe_columns(const TableHeader& header) {
  nlohmann::json json = {{"features", header.features},
                         {"label", header.label},
                         {"classes", header.classes},
                         {"mean", header.mean},
                         {"deviation", header.deviation}};
  json["categories"] = nlohmann::json::array();
  for (const CategoryColumn& column : header.categories) {
    json["categories"].push_back({{"name", column.name}, {"values", column.values}});
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class TableRunData final : public RunData {
 public:
  explicit TableRunData(const Config& config)
      : loader_(table_loader(config, training_sources(config), SampleOrder::kShuffled)) {
    const std::string validation = validation_set(config);
    if (!validation.empty()) {
      validation_.emplace(table_loader(config, {{validation, 1.0}}, SampleOrder::kSequential));
      const TableDataset set = TableDataset::open(validation);
      expect_equal_columns(set, TableDataset::open(training_sources(config).front().path));
    }
    require_classes(training_sources(config).front().path, loader_.class_count());
    description_.model.features = loader_.feature_count();
    description_.model.category_columns = loader_.category_count();
    description_.model.category_rows = loader_.category_rows();
    description_.model.classes = loader_.class_count();
    description_.columns = describe_columns(loader_.header());
    for (const DataSource& source : training_sources(config)) {
      const TableDataset set = TableDataset::open(source.path);
      description_.checksum += (description_.checksum.empty() ? "" : "+") + set.checksum();
    }
  }

  const DataDescription& description() const override { return description_; }
  std::int64_t samples_per_epoch() const override { return loader_.samples_per_epoch(); }
  std::int64_t tokens_per_sample() const override { return 1; }
  std::unique_ptr<TrainingFeed> train(const SampleAssignment& assignment,
                                      std::int64_t first_step) const override {
    return std::make_unique<LoaderTrainingFeed<TableLoader>>(loader_, assignment, first_step);
  }
  std::unique_ptr<EvaluationFeed> validation(std::int64_t rows) const override {
    if (!validation_) return nullptr;
    return std::make_unique<LoaderEvaluationFeed<TableLoader>>(*validation_, rows);
  }

 private:
  TableLoader loader_;
  std::optional<TableLoader> validation_;
  DataDescription description_;
};

}  // namespace

std::unique_ptr<RunData> open_run_data(const Config& config) {
  if (config.model.kind == "mlp") return std::make_unique<TableRunData>(config);
  return std::make_unique<TokenRunData>(config);
}

ModelData read_model_data(const Config& config) {
  const std::string path = training_sources(config).front().path;
  ModelData data;
  if (config.model.kind == "gpt" && config.model.vocabulary != 0 &&
      !std::filesystem::exists(path)) {
    data.vocabulary = config.model.vocabulary;
    return data;
  }
  const DatasetFile file(map_file(path));
  if (config.model.kind == "gpt") {
    data.vocabulary = vocabulary_of_model(config, path, read_token_header(file).vocabulary);
    return data;
  }
  const TableHeader header = read_table_header(file);
  data.features = static_cast<std::int64_t>(header.features.size());
  data.category_columns = static_cast<std::int64_t>(header.categories.size());
  data.category_rows = header.category_rows();
  data.classes = static_cast<std::int64_t>(header.classes.size());
  require_classes(path, data.classes);
  return data;
}

std::unique_ptr<EvaluationFeed> open_evaluation(const Config& config, const std::string& path,
                                                const DataDescription& trained) {
  const std::vector<DataSource> paths = {{path, 1.0}};
  if (config.model.kind == "mlp") {
    TableLoader loader = table_loader(config, paths, SampleOrder::kSequential);
    if (describe_columns(loader.header()) != trained.columns) {
      fail(ExitCode::kBadData,
           "{}: its columns, categories or standardisation differ from those of the set that the "
           "model was trained on: import all rows in one go and let --validation split them",
           path);
    }
    return std::make_unique<LoaderEvaluationFeed<TableLoader>>(std::move(loader),
                                                               config.batch.micro);
  }
  TokenLoader loader = token_loader(config, paths, SampleOrder::kSequential);
  if (loader.vocabulary() > trained.model.vocabulary) {
    fail(ExitCode::kBadData,
         "{}: vocabulary {}, but the model has {}: import it with its tokenizer", path,
         loader.vocabulary(), trained.model.vocabulary);
  }
  return std::make_unique<LoaderEvaluationFeed<TokenLoader>>(std::move(loader), config.batch.micro);
}

}  // namespace ingot
