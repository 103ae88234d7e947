// The programs of an engine before any memory is taken: what they are, and what memory they will
// need.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/execute/executable.hpp"
#include "runtime/model/model.hpp"
#include "runtime/program/update.hpp"

namespace ingot {

struct EngineOptions {
  Config config;
  ModelData data;
  std::int64_t micro_batches = 1;  ///< of this rank per step
  bool training = true;            ///< false: only evaluate() works, and no training state is kept
  /// Calls its argument, which prepares the programs and by that chooses algorithms; null: it is
  /// called as it is.
  std::function<void(const std::function<void()>& prepare)> around_preparation = {};
  int node_ranks = 1;  ///< ranks on every node, for parallel.shard_group
  /// Bytes of the device that the ranks' communicator keeps beside the engine's memory
  /// (Communicator::memory_bytes).
  std::int64_t exchange_bytes = 0;
};

struct EnginePlan {
  DType type = DType::kF32;  ///< of weights and activations in compute
  ParallelPlan parallel;
  StoreLayout layout;
  std::vector<PreparedProgram>
      micros;  ///< forward and backward of a micro batch; none: no training
  std::vector<std::size_t> micro_of_batch;  ///< by micro batch of a step: which of them runs
  std::optional<PreparedProgram> update;
  std::optional<PreparedProgram> evaluate;

  /// Calls visit(program) for each one there is.
  template <typename F>
  void for_each(F visit) const {
    for (const PreparedProgram& prepared : micros) visit(prepared.program);
    for (const auto* prepared : {&update, &evaluate}) {
      if (prepared->has_value()) visit((*prepared)->program);
    }
  }
};

/// The programs of one rank; `parallel` may be of ranks that do not exist.
EnginePlan plan_engine(const EngineOptions& options, const Registry& registry, Device& device,
                       const ParallelPlan& parallel);

/// Buffers of which programs name parts, beside those of the store.
std::vector<std::pair<std::string, TensorType>> engine_buffers(const EnginePlan& plan);

/// Bytes that the plan takes of the device, by buffer, as Memory::table() will have it; activations
/// and workspaces are "arena".
std::vector<std::pair<std::string, std::int64_t>> memory_table(const EnginePlan& plan,
                                                               const EngineOptions& options);

}  // namespace ingot
