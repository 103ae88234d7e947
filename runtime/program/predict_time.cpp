#include "runtime/program/predict_time.hpp"

#include <algorithm>
#include <array>

namespace ingot {

namespace {

using Seconds = std::optional<double>;

Seconds plus(Seconds a, Seconds b) {
  return a && b ? Seconds(*a + *b) : std::nullopt;
}

double bytes_of(const std::vector<Operand>& operands) {
  double bytes = 0;
  for (const Operand& operand : operands) bytes += static_cast<double>(operand.type.bytes());
  return bytes;
}

Seconds moved(double bytes, const MachineModel& machine) {
  if (bytes == 0) return 0.0;
  return machine.memory_bandwidth > 0 ? Seconds(bytes / machine.memory_bandwidth) : std::nullopt;
}

Seconds op_seconds(const Instruction& instruction, const MachineModel& machine) {
  const Cost cost = cost_of(instruction);
  const Seconds memory = moved(static_cast<double>(cost.bytes_read + cost.bytes_written), machine);
  if (cost.matrix_flops == 0) return memory;
  if (!memory || machine.matrix_flops <= 0) return std::nullopt;
  return std::max(cost.matrix_flops / machine.matrix_flops, *memory);
}

/// How the ranks of a group lie on nodes.
struct Spread {
  bool inside = false;  ///< some of them share a node
  bool across = false;  ///< they are on several nodes
  int beside = 1;       ///< such groups that leave each node at once
};

Spread spread_of(RankGroup group, const ParallelPlan& parallel) {
  const int ranks = group_ranks(group, parallel);
  const int node = parallel.node_ranks > 0 ? parallel.node_ranks : 1;
  if (group != RankGroup::kReplicas) return {std::min(ranks, node) > 1, ranks > node, 1};
  // Every shard_ranks-th rank: of so many groups each, a node has members.
  const bool shares = node > parallel.shard_ranks;
  return {shares, parallel.ranks > node, std::min(node, parallel.shard_ranks)};
}

/// The slowest hop of a ring through the group.
std::optional<LinkModel> ring_of(RankGroup group, const ParallelPlan& parallel,
                                 const MachineModel& machine) {
  const Spread spread = spread_of(group, parallel);
  if ((spread.inside && !machine.link) || (spread.across && !machine.network)) return {};
  std::optional<LinkModel> ring;
  if (spread.across) {
    ring = machine.network;
    ring->bandwidth /= spread.beside;
  }
  if (!spread.inside) return ring;
  if (!ring) return machine.link;
  return LinkModel{std::max(ring->call, machine.link->call),
                   std::max(ring->latency, machine.link->latency),
                   std::min(ring->bandwidth, machine.link->bandwidth)};
}

Seconds exchange_seconds(const Instruction& instruction, const ParallelPlan& parallel,
                         const MachineModel& machine) {
  const int ranks = group_ranks(instruction.group, parallel);
  if (ranks == 1) return 0.0;
  const auto link = ring_of(instruction.group, parallel, machine);
  if (!link) return std::nullopt;
  const bool gathers = instruction.kind == InstructionKind::kAllGather;
  const double bytes = bytes_of(gathers ? instruction.outputs : instruction.inputs);
  const double steps = (instruction.kind == InstructionKind::kAllReduce ? 2.0 : 1.0) * (ranks - 1);
  const double seconds =
      link->call + steps * link->latency + steps / ranks * bytes / link->bandwidth;
  if (instruction.kind != InstructionKind::kOrderedReduceScatter) return seconds;
  return plus(seconds, moved(bytes + bytes_of(instruction.outputs), machine));
}

}  // namespace

std::optional<double> predict_seconds(const Instruction& instruction, const ParallelPlan& parallel,
                                      const MachineModel& machine) {
  switch (instruction.kind) {
    case InstructionKind::kOp:
      return op_seconds(instruction, machine);
    case InstructionKind::kFillZero:
      return moved(bytes_of(instruction.outputs), machine);
    case InstructionKind::kRecord:
    case InstructionKind::kWait:
      return 0.0;
    default:
      return exchange_seconds(instruction, parallel, machine);
  }
}

PredictedTime predict_program(const Program& program, const ParallelPlan& parallel,
                              const MachineModel& machine) {
  std::array<Seconds, 2> busy = {0.0, 0.0};
  std::array<double, 2> now = {0.0, 0.0};  // of each stream, where everything is known
  std::vector<double> events(static_cast<std::size_t>(program.events));
  double waited = 0;
  for (const Instruction& instruction : program.instructions) {
    const auto stream = static_cast<std::size_t>(instruction.stream);
    if (instruction.kind == InstructionKind::kRecord) {
      events.at(static_cast<std::size_t>(instruction.event)) = now[stream];
    } else if (instruction.kind == InstructionKind::kWait) {
      const double until = events.at(static_cast<std::size_t>(instruction.event));
      if (stream == kComputeStream) waited += std::max(0.0, until - now[stream]);
      now[stream] = std::max(now[stream], until);
    } else {
      const Seconds seconds = predict_seconds(instruction, parallel, machine);
      busy[stream] = plus(busy[stream], seconds);
      now[stream] += seconds.value_or(0);
    }
  }
  PredictedTime time{busy[kComputeStream], busy[kCommunicationStream], {}, {}};
  if (!time.compute || !time.communication) return time;
  time.exposed = waited;
  time.total = std::max(now[kComputeStream], now[kCommunicationStream]);
  return time;
}

std::vector<ProgramTime> predict_programs(std::span<const ProgramRuns> programs,
                                          const ParallelPlan& parallel,
                                          const MachineModel& machine) {
  std::vector<ProgramTime> times;
  for (const auto& [program, per_step] : programs) {
    if (per_step == 0) continue;
    times.push_back({program->name, per_step, predict_program(*program, parallel, machine)});
  }
  return times;
}

PredictedTime step_time(std::span<const ProgramTime> programs) {
  PredictedTime sum{0.0, 0.0, 0.0, 0.0};
  for (const auto& [name, per_step, time] : programs) {
    const auto add = [runs = static_cast<double>(per_step)](Seconds& to, Seconds seconds) {
      to = plus(to, seconds ? Seconds(*seconds * runs) : seconds);
    };
    add(sum.compute, time.compute);
    add(sum.communication, time.communication);
    add(sum.exposed, time.exposed);
    add(sum.total, time.total);
  }
  return sum;
}

}  // namespace ingot
