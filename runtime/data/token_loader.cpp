#include "runtime/data/token_loader.hpp"

#include <algorithm>
#include <cmath>

#include "ops/base/error.hpp"

namespace ingot {
namespace {

std::size_t index_of(std::int64_t value) {
  return static_cast<std::size_t>(value);
}

/// Windows of one epoch. Training leaves out one, so that the start has room to move.
std::int64_t window_count(std::int64_t tokens, std::int64_t context, SampleOrder order) {
  if (order == SampleOrder::kSequential) return (tokens - 1 + context - 1) / context;
  const std::int64_t whole = (tokens - 1) / context;
  return std::max<std::int64_t>(1, whole - 1);
}

void check_sources(const std::vector<TokenSource>& sources, const TokenLoaderOptions& options) {
  ensure(options.context > 0, "a positive context");
  if (sources.empty()) fail(ExitCode::kBadData, "no data set to read; set data.train");
  const TokenDataset& first = *sources.front().set;
  for (const TokenSource& source : sources) {
    const TokenDataset& set = *source.set;
    if (!(source.weight > 0) || !std::isfinite(source.weight)) {
      fail(ExitCode::kConfiguration, "{}: weight {} in the mixture, expected a positive number",
           set.path(), source.weight);
    }
    const bool training = options.order == SampleOrder::kShuffled;
    const std::int64_t needed = training ? options.context + 1 : 2;
    if (set.size() < needed) {
      fail(ExitCode::kBadData,
           "{}: holds {} tokens, expected at least {} (model.context {} and one to predict); use "
           "more data or a model.context of at most {}",
           set.path(), set.size(), needed, options.context,
           std::max<std::int64_t>(set.size() - 1, 0));
    }
    if (set.vocabulary() != first.vocabulary()) {
      fail(ExitCode::kBadData,
           "{}: has a vocabulary of {} tokens, but {} has {}; import both with one tokenizer",
           set.path(), set.vocabulary(), first.path(), first.vocabulary());
    }
    if (set.header().tokenizer != first.header().tokenizer) {
      fail(ExitCode::kBadData, "{}: was made with another tokenizer than {}; import both with one",
           set.path(), first.path());
    }
  }
}

std::vector<TokenSource> checked(std::vector<TokenSource> sources,
                                 const TokenLoaderOptions& options) {
  check_sources(sources, options);
  return sources;
}

Sampler make_sampler(const std::vector<TokenSource>& sources, const TokenLoaderOptions& options) {
  std::vector<std::int64_t> counts;
  std::vector<double> weights;
  for (const TokenSource& source : sources) {
    counts.push_back(window_count(source.set->size(), options.context, options.order));
    weights.push_back(source.weight);
  }
  return {std::move(counts), weights, options.seed, options.order};
}

}  // namespace

TokenBatchMemory::TokenBatchMemory(std::int64_t rows, std::int64_t context)
    : numbers_(index_of(4 * rows * context)), samples_(index_of(rows)) {
  const std::size_t size = index_of(rows * context);
  const std::span<std::int32_t> all = numbers_;
  batch_.tokens = all.subspan(0, size);
  batch_.targets = all.subspan(size, size);
  batch_.positions = all.subspan(2 * size, size);
  batch_.documents = all.subspan(3 * size, size);
  batch_.samples = samples_;
}

TokenLoader::TokenLoader(std::vector<TokenSource> sources, TokenLoaderOptions options)
    : sources_(checked(std::move(sources), options)),
      options_(options),
      sampler_(make_sampler(sources_, options)) {}

std::int64_t TokenLoader::window_start(const SampleAddress& address) const {
  const std::int64_t start = address.index * options_.context;
  if (options_.order == SampleOrder::kSequential) return start;
  const std::int64_t tokens = sources_[index_of(address.set)].set->size();
  const std::int64_t windows = window_count(tokens, options_.context, options_.order);
  const std::int64_t room = tokens - 1 - windows * options_.context;
  // The last round number of the permutation's counter is far below this one.
  const std::uint64_t counter = static_cast<std::uint64_t>(address.set) << 48 | 0xffULL << 40;
  const auto words = philox(options_.seed, RandomPurpose::kShuffle,
                            static_cast<std::uint64_t>(address.epoch), counter);
  const double uniform = uniform_double(words[0], words[1]);
  return start + static_cast<std::int64_t>(uniform * static_cast<double>(room + 1));
}

void TokenLoader::fill(TokenBatch& batch, std::int64_t first_sample, std::int64_t count) const {
  const auto rows = static_cast<std::int64_t>(batch.samples.size());
  ensure(batch.tokens.size() == index_of(rows * options_.context) && count <= rows,
         "a batch of the loader's context");
  batch.counted = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t sample = first_sample + row;
    batch.samples[index_of(row)] = sample;
    if (row < count && sampler_.exists(sample)) {
      fill_row(batch, row, sample);
      continue;
    }
    const std::size_t begin = index_of(row * options_.context);
    for (std::size_t t = 0; t < index_of(options_.context); ++t) {
      batch.tokens[begin + t] = 0;
      batch.targets[begin + t] = -1;
      batch.positions[begin + t] = static_cast<std::int32_t>(t);
      batch.documents[begin + t] = 0;
    }
  }
}

void TokenLoader::fill_row(TokenBatch& batch, std::int64_t row, std::int64_t sample) const {
  const SampleAddress address = sampler_.at(sample);
  const TokenDataset& set = *sources_[index_of(address.set)].set;
  const std::int64_t context = options_.context;
  const std::int64_t start = window_start(address);
  // Inputs that have a successor; fewer than the context only at the end of an evaluation.
  const std::int64_t length = std::min(context, set.size() - 1 - start);
  const std::size_t begin = index_of(row * context);
  const auto tokens = batch.tokens.subspan(begin, index_of(context));
  const auto targets = batch.targets.subspan(begin, index_of(context));
  const auto positions = batch.positions.subspan(begin, index_of(context));
  const auto documents = batch.documents.subspan(begin, index_of(context));
  set.copy(start, tokens.first(index_of(length)));
  set.copy(start + 1, targets.first(index_of(length)));
  std::fill(tokens.begin() + length, tokens.end(), 0);
  std::fill(targets.begin() + length, targets.end(), -1);
  batch.counted += length;

  const bool follow_documents = options_.document_mask || options_.reset_positions;
  std::int64_t document = follow_documents ? set.document_at(start) : 0;
  std::int64_t document_start = follow_documents ? set.document_start(document) : start;
  std::int64_t document_end = follow_documents ? set.document_end(document) : set.size();
  for (std::int64_t t = 0; t < context; ++t) {
    const std::int64_t offset = start + t;
    if (offset == document_end && t < length) {
      document_start = document_end;
      document_end = set.document_end(++document);
    }
    // A document that began before the window counts its positions from the window's start: the
    // model sees no more than the window.
    const std::int64_t seen_start = std::max<std::int64_t>(document_start - start, 0);
    documents[index_of(t)] = options_.document_mask ? static_cast<std::int32_t>(seen_start) : 0;
    positions[index_of(t)] =
        static_cast<std::int32_t>(options_.reset_positions ? t - seen_start : t);
    if (options_.document_mask && t < length && offset + 1 == document_end) {
      targets[index_of(t)] = -1;
      --batch.counted;
    }
  }
}

}  // namespace ingot
