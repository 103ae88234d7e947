// The `fault` section: a rank that misbehaves on purpose, so that tests see what the others do. It
// is part of the command, since a test has to run what ships.
#pragma once

#include <cstdint>

#include "collectives/communicator.hpp"
#include "ops/base/log.hpp"
#include "runtime/config/config.hpp"

namespace ingot {

class FaultInjector {
 public:
  /// Does nothing where the configuration names no fault, or another rank. Warns loudly otherwise.
  /// `communicator` may be null; everything outlives the injector.
  FaultInjector(const FaultConfig& config, int rank, Communicator* communicator, Logger& log);
  ~FaultInjector();
  FaultInjector(const FaultInjector&) = delete;
  FaultInjector& operator=(const FaultInjector&) = delete;

  /// Before the work of each step, numbered from 1.
  void begin_step(std::int64_t step);

 private:
  /// Whether the collective is made.
  bool on_collective(CollectiveCall& call);
  void misbehave();

  const FaultConfig& config_;
  Communicator* communicator_;
  Logger& log_;
  bool active_;
  std::int64_t step_ = 0;
  std::int64_t collectives_ = 0;  ///< of this step so far
};

}  // namespace ingot
