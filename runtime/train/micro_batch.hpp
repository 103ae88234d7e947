// Which micro batch fits a memory: the choice of `batch.micro: auto`, and what `ingot plan` and an
// out-of-memory message advise. Decided from plans, before anything is allocated.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ops/base/log.hpp"
#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/train/run_estimate.hpp"

namespace ingot {

/// Micro batches in ascending order, cheap to name and dear to plan.
struct MicroCandidates {
  std::int64_t count = 0;
  std::function<std::int64_t(std::int64_t index)> at;
};

/// The micro batches that the configuration admits for so many ranks: the divisors of batch.global
/// / ranks; without batch.global all, or with `powers` the powers of two.
MicroCandidates micro_candidates(const Config& config, int ranks, bool powers);

/// A micro batch and the bytes that a rank's plan takes with it.
struct MicroFit {
  std::int64_t micro = 0;  ///< 0: not even the smallest fits
  std::int64_t bytes = 0;  ///< of the smallest where none fits
};

/// The largest candidate whose plan takes at most `available` bytes. `bytes_of` grows with the
/// micro batch; it is called for about twice the logarithm of the candidates, none of which is much
/// larger than what fits.
MicroFit largest_micro(const MicroCandidates& candidates, std::int64_t available,
                       const std::function<std::int64_t(std::int64_t micro)>& bytes_of);

/// Bytes that a rank's plan takes with this micro batch instead of the configured one.
std::int64_t bytes_with_micro(const PlanInputs& inputs, std::int64_t micro);

/// Throws Error(kGpu) with the table by kind and the largest micro batch that fits, where the
/// device has less memory left than the plan takes.
void require_memory(const EnginePlan& plan, const EngineOptions& options, const Registry& registry,
                    Device& device);

/// What `auto` is decided from, beside the plans.
struct MicroBounds {
  /// Of this rank: batch.memory, or the share of what is free that may be planned with; 0: unknown.
  std::int64_t available = 0;
  std::string folder;  ///< where the run's checkpoints are
};

/// Share of the free memory that `auto` plans with: allocators, libraries and the data pipeline
/// need some too.
constexpr double kPlannedShare = 0.9;

/// Replaces batch.micro: auto in the configuration by a number, alike on all ranks, and
/// batch.global by what it comes to. A run that is resumed keeps its global batch, and its micro
/// batch where that still fits. Collective; the tightest rank's memory decides. Returns a line for
/// the log. Throws Error(kConfiguration) where not even one sample fits.
std::string choose_micro_batch(Config& config, const PlanInputs& inputs, const MicroBounds& bounds,
                               RankExchange& exchange);

}  // namespace ingot
