// A Program: everything one kind of run does, decided before anything runs. A plain value with
// several readers: the executor runs it, the printer shows it, the planner adds up its memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program/graph.hpp"
#include "runtime/program/parallel_plan.hpp"
#include "runtime/program/parameters.hpp"

namespace ingot {

/// The memory a value lies in.
enum class Space : std::uint8_t {
  kArena,      ///< offset in bytes; shared by all programs, contents die with the run
  kWeights,    ///< offset in elements of the weights that the rank keeps, in the compute type
  kGradients,  ///< offset in elements of the gradients that the rank keeps, f32
  kBuffer,     ///< a named buffer of the run: inputs, outputs, state
  kNone        ///< an absent optional input
};

struct Operand {
  Space space = Space::kNone;
  std::int64_t offset = 0;
  std::string buffer;  ///< name, for kBuffer
  TensorType type;
  int block = -1;  ///< kArena: the planned run of memory that it is part of
};

/// Operands of collectives may be parts of one another, as Communicator has it.
enum class InstructionKind : std::uint8_t {
  kOp,
  kFillZero,              ///< outputs[0] becomes zero
  kAllReduce,             ///< outputs[0] becomes the sum over ranks of inputs[0], which it is
  kReduceScatter,         ///< outputs[0] becomes the sum of the rank's own block of inputs[0]
  kOrderedReduceScatter,  ///< the same in the order of the reduction tree; inputs: the partials
  kAllGather,             ///< outputs[0] becomes all ranks' inputs[0] one after the other
  kRecord,
  kWait
};
/// Whether it exchanges data with other ranks.
constexpr bool is_collective(InstructionKind kind) {
  return kind == InstructionKind::kAllReduce || kind == InstructionKind::kReduceScatter ||
         kind == InstructionKind::kOrderedReduceScatter || kind == InstructionKind::kAllGather;
}

std::string_view name_of(InstructionKind kind);  ///< "all_reduce"
std::string_view name_of(RankGroup group);       ///< "shard group"

/// Streams of a program: computation, and communication beside it.
constexpr int kComputeStream = 0;
constexpr int kCommunicationStream = 1;

struct Instruction {
  InstructionKind kind = InstructionKind::kOp;
  int stream = kComputeStream;
  std::string label;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  std::int64_t workspace_offset = 0;  ///< in the arena; kOrderedReduceScatter: its scratch
  std::int64_t workspace_bytes = 0;
  int workspace_block = -1;  ///< as Operand::block
  // kOp
  const Op* op = nullptr;
  Attributes attributes;
  std::uint32_t accumulate = 0;
  int layer = -1;
  bool backward = false;
  // Collectives
  RankGroup group = RankGroup::kAll;
  const char* what = "";  ///< with `bucket`, its name in messages: "gradients of bucket 3"
  int bucket = -1;
  // kRecord, kWait
  int event = -1;
};

struct Program {
  std::string name;  ///< "micro", "update", ...
  std::vector<Instruction> instructions;
  int events = 0;
  std::int64_t arena_bytes = 0;
  std::int64_t activation_bytes = 0;  ///< most of it that is alive at once
  std::int64_t workspace_bytes = 0;   ///< largest workspace
  Cost cost() const;                  ///< of all its ops
};

/// What the op of an instruction states.
Cost cost_of(const Instruction& op);

/// The program as a table: one line per instruction with its operands' places.
std::string print(const Program& program);

}  // namespace ingot
