// Runs programs: a Program bound to memory and streams, with its kernels prepared. Enqueuing it
// allocates nothing and decides nothing. Where the device can record work (CUDA graphs), a program
// is recorded when it is bound and replayed as a whole from then on.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "collectives/algorithms/ordered.hpp"
#include "collectives/communicator.hpp"
#include "ops/device/recorded_work.hpp"
#include "runtime/execute/memory.hpp"
#include "runtime/program/schedule.hpp"

namespace ingot {

/// A scheduled program with the kernels whose workspaces it was planned for.
struct PreparedProgram {
  Program program;
  std::vector<std::unique_ptr<Kernel>> kernels;  ///< per kOp instruction, in order
};

/// Schedules the graph and prepares a kernel for `device` per op.
PreparedProgram prepare_program(const Graph& graph, const StoreLayout& layout,
                                const PlacementOptions& options, Device& device);

struct Streams {
  Stream* compute = nullptr;
  Stream* communication = nullptr;  ///< null where a program has no communication
};

/// By group of ranks, how they exchange data; null where a program has no collectives of it.
struct Communicators {
  Communicator* all = nullptr;
  Communicator* shard = nullptr;
  Communicator* replicas = nullptr;
  OrderedReduction* ordered = nullptr;  ///< of the gradients of all ranks

  Communicator* of(RankGroup group) const {
    if (group == RankGroup::kShard) return shard;
    return group == RankGroup::kReplicas ? replicas : all;
  }
};

/// When one instruction of a program ran, in steady-clock seconds.
struct TimedInstruction {
  std::size_t instruction = 0;  ///< of Program::instructions: an op or a collective
  double begin = 0;
  double end = 0;
};

class Executable {
 public:
  /// Memory must hold all buffers and the arena already. What the arguments point at outlives the
  /// executable.
  Executable(PreparedProgram prepared, const Memory& memory, Device& device, Streams streams,
             Communicators communicators = {});

  /// Starts one run. The next run may be enqueued before this one is done.
  void enqueue();
  /// Runs once, instruction by instruction even where the program is recorded, and waits: what it
  /// computes is the same, and the device's clock says when each op and collective ran. Launching
  /// them one by one takes the host longer than replaying: gaps between short ops are its.
  std::vector<TimedInstruction> run_timed();
  /// Seconds that computation waited for communication in the last finished run.
  double exposed_communication_seconds() const;
  /// What a run starts, where the program is recorded by a device that tells; otherwise nothing.
  std::optional<RecordedWork> recorded_work() const;
  const Program& program() const { return prepared_.program; }

 private:
  struct Step;
  void bind_collective(const Instruction& instruction, Step& step, Communicators communicators);
  void reserve_for_collectives();
  void enqueue_steps();
  void enqueue(const Step& step);
  void wait(const Step& step);

  PreparedProgram prepared_;
  Device* device_;
  Streams streams_;
  OrderedReduction* ordered_ = nullptr;
  std::vector<TensorView> views_;       // operands of all steps; steps hold spans into it
  std::vector<const float*> partials_;  // inputs of ordered reductions; steps hold spans into it
  std::vector<Step> steps_;
  std::vector<std::unique_ptr<Event>> events_;
  std::vector<std::unique_ptr<Event>> wait_marks_;  // two per wait of the compute stream
  std::vector<std::unique_ptr<Event>> marks_;  // two per instruction, made by the first run_timed()
  std::unique_ptr<Recording> recording_;       // null where the device records nothing

 public:
  ~Executable();
  Executable(Executable&&) noexcept;
};

}  // namespace ingot
