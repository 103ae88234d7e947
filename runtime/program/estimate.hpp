// What the programs of a run need, read from them alone: memory by kind, traffic and work of a
// step. Nothing here is measured and no device is touched, so that the same figures hold for ranks
// that do not exist.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/program/parallel_plan.hpp"
#include "runtime/program/program.hpp"

namespace ingot {

/// A program and how often a rank runs it in a step; 0 for evaluation, which is outside of steps.
struct ProgramRuns {
  const Program* program = nullptr;
  std::int64_t per_step = 0;
};

/// What memory is for, in the order of tables.
enum class MemoryKind : std::uint8_t {
  kParameters,        ///< master weights, and the bf16 ones that compute reads
  kGradients,         ///< of a step, f32
  kPartialGradients,  ///< more gradients beside those, for ordered sums
  kMoments,           ///< of the optimizer
  kAveragedWeights,   ///< optimizer.ema
  kGatheredLayers,    ///< parameters that other ranks hold, while a layer is computed
  kActivations,       ///< values between ops
  kWorkspaces,        ///< of kernels
  kGaps,              ///< of the arena: between blocks whose lives overlap
  kInputsOutputs,     ///< batches, scalars, losses, tables that the update reads
  kSmallExchanges,    ///< that the communicator keeps, for direct calls between GPUs
  kCheckpointBuffer   ///< the state that is being saved while training goes on
};
constexpr int kMemoryKinds = static_cast<int>(MemoryKind::kCheckpointBuffer) + 1;
std::string_view name_of(MemoryKind kind);  ///< "parameters", "inputs and outputs"

/// Bytes of each buffer of a rank by name; the arena, which all programs share, is "arena".
using MemoryTable = std::vector<std::pair<std::string, std::int64_t>>;

struct MemoryUse {
  MemoryKind kind = MemoryKind::kParameters;
  std::int64_t bytes = 0;

  friend bool operator==(const MemoryUse&, const MemoryUse&) = default;
};

/// The table by kind, in the order of the kinds and without those that take nothing; the bytes add
/// up to the table's. The arena is cut as the program that needs the most of it uses it when the
/// most is alive. All but one of the `gradient_slots` in the buffer of gradients are for partial
/// sums.
std::vector<MemoryUse> memory_by_kind(const MemoryTable& table,
                                      std::span<const ProgramRuns> programs, int gradient_slots);
std::int64_t total_bytes(const MemoryTable& table);

/// One collective of a step.
struct Traffic {
  std::string program;     ///< "micro_last"
  std::string collective;  ///< "all_reduce"
  std::string label;       ///< "bucket 3"
  int bucket = -1;         ///< of the parameter store; -1: none
  int ranks = 1;           ///< that take part
  std::int64_t bytes = 0;  ///< of one call, as nccl-tests sizes them: of the whole buffer
  /// That a rank sends in one call, rounded up. Of n bytes a ring of R ranks sends 2 (R - 1) / R n
  /// for an all_reduce and (R - 1) / R n for a reduce_scatter or all_gather; an ordered
  /// reduce_scatter sends the latter too, of each of the rank's partial sums.
  std::int64_t wire_bytes = 0;
  std::int64_t per_step = 0;  ///< calls

  friend bool operator==(const Traffic&, const Traffic&) = default;
};

/// The collectives of one step, in the order of programs and instructions.
std::vector<Traffic> step_traffic(std::span<const ProgramRuns> programs,
                                  const ParallelPlan& parallel);

/// What one run of a program puts on its streams. On a GPU each op is at least one kernel; the log
/// of a run has how many nodes the recorded graphs came to.
struct ProgramCounts {
  std::string program;
  std::int64_t per_step = 0;
  std::int64_t ops = 0;
  std::int64_t fills = 0;  ///< of memory with zeros
  std::int64_t collectives = 0;
  std::int64_t waits = 0;  ///< of one stream for an event of the other

  friend bool operator==(const ProgramCounts&, const ProgramCounts&) = default;
};

/// Programs of a step, in their order.
std::vector<ProgramCounts> program_counts(std::span<const ProgramRuns> programs);

/// FLOPs of one rank.
struct Work {
  double matrix = 0;  ///< in matrix products
  double other = 0;

  Work& operator+=(const Work& work) {
    matrix += work.matrix;
    other += work.other;
    return *this;
  }
  friend bool operator==(const Work&, const Work&) = default;
};

struct StepWork {
  Work forward;
  Work recomputed;  ///< forward ops that backward runs again
  Work backward;
  Work update;  ///< programs without any backward op

  Work total() const {
    Work sum = forward;
    return ((sum += recomputed) += backward) += update;
  }
};

/// The ops of one step of one rank.
StepWork step_work(std::span<const ProgramRuns> programs);

}  // namespace ingot
