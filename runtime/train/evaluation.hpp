// Evaluation over the validation set, shared by all ranks: batch k is rank k mod R's, and the
// results are put together in the order of the samples, so that they do not depend on the number of
// ranks.
#pragma once

#include <optional>

#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/metrics/classification.hpp"
#include "runtime/train/data_feed.hpp"

namespace ingot {

struct EvaluationResult {
  double loss = 0;  ///< mean over counted tokens or rows
  double counted = 0;
  std::int64_t samples = 0;
  // Tables only.
  std::vector<std::int32_t> labels;  ///< by sample, on rank 0
  std::vector<float> logits;         ///< [samples, logits per row], on rank 0
  std::int64_t logits_per_row = 0;
};

/// Runs at most `samples` samples (0: all) through the engine. Collective; the loss is returned on
/// every rank.
EvaluationResult evaluate(Engine& engine, EvaluationFeed& feed, std::int64_t rows,
                          std::int64_t samples, RankExchange& exchange);

}  // namespace ingot
