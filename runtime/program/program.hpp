// A Program: everything one kind of run does, decided before anything runs. A plain value with
// several readers: the executor runs it, the printer shows it, the planner adds up its memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program/graph.hpp"
#include "runtime/program/parameters.hpp"

namespace ingot {

/// The memory a value lies in.
enum class Space : std::uint8_t {
  kArena,      ///< offset in bytes; shared by all programs, contents die with the run
  kWeights,    ///< offset in elements of the store, in the compute type
  kGradients,  ///< offset in elements of the store, f32
  kBuffer,     ///< a named buffer of the run: inputs, outputs, state
  kNone        ///< an absent optional input
};

struct Operand {
  Space space = Space::kNone;
  std::int64_t offset = 0;
  std::string buffer;  ///< name, for kBuffer
  TensorType type;
};

enum class InstructionKind : std::uint8_t { kOp, kAllReduce, kRecord, kWait };

/// Streams of a program: computation, and communication beside it.
constexpr int kComputeStream = 0;
constexpr int kCommunicationStream = 1;

struct Instruction {
  InstructionKind kind = InstructionKind::kOp;
  int stream = kComputeStream;
  std::string label;
  // kOp
  const Op* op = nullptr;
  Attributes attributes;
  std::uint32_t accumulate = 0;
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  std::int64_t workspace_offset = 0;  ///< in the arena
  std::int64_t workspace_bytes = 0;
  int layer = -1;
  bool backward = false;
  // kAllReduce: sum of `count` elements of `type` at `reduced`, over all ranks
  Operand reduced;
  int bucket = -1;
  // kRecord, kWait
  int event = -1;
};

struct Program {
  std::string name;  ///< "micro", "update", ...
  std::vector<Instruction> instructions;
  int events = 0;
  std::int64_t arena_bytes = 0;
  std::int64_t activation_bytes = 0;  ///< most that is alive at once, workspaces not counted
  std::int64_t workspace_bytes = 0;   ///< largest workspace
  Cost cost() const;                  ///< of all its ops
};

/// The program as a table: one line per instruction with its operands' places.
std::string print(const Program& program);

}  // namespace ingot
