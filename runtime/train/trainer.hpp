// The training loop: steps, evaluation, checkpoints, limits, signals, and what one sees of them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "collectives/flight_log.hpp"
#include "ops/base/log.hpp"
#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/config/config.hpp"
#include "runtime/train/data_feed.hpp"
#include "runtime/train/run_directory.hpp"

namespace ingot {

/// What the trainer works with; everything outlives it.
struct TrainerParts {
  const Registry& registry;
  Device& device;
  Communicator* communicator;  ///< null for one rank
  RankExchange& exchange;
  Logger& log;
  RunDirectory& directory;
  const RunData& data;
  Environment environment;
  /// FLOP/s of one rank's matrix peak in the run's precision; 0: not measured.
  double matrix_peak = 0;
  int node_ranks = 1;            ///< on every node; 0: nodes differ
  FlightLog* flights = nullptr;  ///< is told the step and what the rank is busy with
  int termination = -1;          ///< descriptor that SIGTERM writes to; see SignalRequests
};

/// Trains as the configuration says; collective. Returns kDone, or kPreempted where a signal ended
/// the run after saving. Errors are thrown.
ExitCode train(const Config& config, const TrainerParts& parts);

}  // namespace ingot
