// Token data sets -> batches for the model. A sample is a window of `context` inputs with the next
// token as each one's target. In training the windows of an epoch lie one behind the other from a
// random start that changes every epoch, so that boundaries move; a set of N tokens gives
// max(1, (N-1)/context - 1) of them. In evaluation they start at 0 and cover the set once, the last
// one in part.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/data/sampler.hpp"
#include "runtime/data/token_dataset.hpp"

namespace ingot {

/// Windows on memory that the caller owns, allocated once. B rows (samples) of T tokens.
struct TokenBatch {
  std::span<std::int32_t> tokens;     ///< [B, T] inputs
  std::span<std::int32_t> targets;    ///< [B, T] next tokens; -1: not counted
  std::span<std::int32_t> positions;  ///< [B, T]
  std::span<std::int32_t> documents;  ///< [B, T] where in the row the document of t starts
  std::span<std::int64_t> samples;    ///< [B] global sample numbers, which key dropout
  std::int64_t counted = 0;           ///< targets that are not -1
};

/// A TokenBatch with its own memory.
class TokenBatchMemory {
 public:
  TokenBatchMemory(std::int64_t rows, std::int64_t context);
  TokenBatch& batch() { return batch_; }
  const TokenBatch& batch() const { return batch_; }

 private:
  std::vector<std::int32_t> numbers_;
  std::vector<std::int64_t> samples_;
  TokenBatch batch_;
};

struct TokenSource {
  std::shared_ptr<const TokenDataset> set;
  double weight = 1.0;
};

struct TokenLoaderOptions {
  std::int64_t context = 0;
  /// Attention stays inside a document: `documents` is set, and the last token of a document, whose
  /// successor belongs to the next one, is not counted.
  bool document_mask = false;
  bool reset_positions = false;  ///< positions count from the document's start
  SampleOrder order = SampleOrder::kShuffled;
  std::uint64_t seed = 1;
};

/// Pure after construction; fill() may be called from any number of threads.
class TokenLoader {
 public:
  using Batch = TokenBatch;
  using Memory = TokenBatchMemory;

  /// Error(kBadData): no set, an empty set, one that is shorter than context + 1 tokens (in
  /// training), sets with different vocabularies; Error(kConfiguration): a weight that is not
  /// positive.
  TokenLoader(std::vector<TokenSource> sources, TokenLoaderOptions options);

  std::int64_t context() const { return options_.context; }
  std::int64_t vocabulary() const { return sources_.front().set->vocabulary(); }
  /// Samples in one pass over all sets; in evaluation, all there are.
  std::int64_t samples_per_epoch() const { return sampler_.samples_per_epoch(); }
  /// Fills the first `count` rows with samples first_sample ... and the rest, as well as samples
  /// behind the end of an evaluation, with padding that is not counted.
  void fill(TokenBatch& batch, std::int64_t first_sample, std::int64_t count) const;
  Memory make_memory(std::int64_t rows) const { return {rows, options_.context}; }
  const std::vector<TokenSource>& sources() const { return sources_; }

 private:
  void fill_row(TokenBatch& batch, std::int64_t row, std::int64_t sample) const;
  std::int64_t window_start(const SampleAddress& address) const;

  std::vector<TokenSource> sources_;
  TokenLoaderOptions options_;
  Sampler sampler_;
};

}  // namespace ingot
