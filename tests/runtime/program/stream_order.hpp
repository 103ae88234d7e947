// What a program's streams and events order, found from the addresses that it runs with and without
// the scheduler's help.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtime/program/program.hpp"

namespace ingot::test {

struct Range {
  std::string memory;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool writes = false;
};

/// What an instruction touches, by the addresses that the program runs with.
inline std::vector<Range> ranges_of(const Instruction& instruction) {
  std::vector<Range> ranges;
  const auto add = [&](const Operand& operand, bool writes) {
    const std::int64_t scale =
        operand.space == Space::kWeights || operand.space == Space::kGradients ? 4 : 1;
    const std::string memory = operand.space == Space::kArena       ? "arena"
                               : operand.space == Space::kWeights   ? "weights"
                               : operand.space == Space::kGradients ? "gradients"
                                                                    : operand.buffer;
    const std::int64_t begin = operand.offset * scale;
    ranges.push_back({memory, begin, begin + operand.type.bytes(), writes});
  };
  for (const Operand& input : instruction.inputs) {
    if (input.space != Space::kNone) add(input, false);
  }
  for (const Operand& output : instruction.outputs) add(output, true);
  if (instruction.workspace_bytes > 0) {
    ranges.push_back({"arena", instruction.workspace_offset,
                      instruction.workspace_offset + instruction.workspace_bytes, true});
  }
  return ranges;
}

inline bool conflicting(const Instruction& a, const Instruction& b) {
  for (const Range& x : ranges_of(a)) {
    for (const Range& y : ranges_of(b)) {
      if (x.memory == y.memory && (x.writes || y.writes) && x.begin < y.end && y.begin < x.end) {
        return true;
      }
    }
  }
  return false;
}

/// Follows which instructions are known to be done before each other one.
struct Order {
  explicit Order(const Program& program, bool heed_waits = true) {
    std::array<std::array<int, 2>, 2> known = {{{-1, -1}, {-1, -1}}};
    std::map<int, std::array<int, 2>> events;
    for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
      const Instruction& instruction = program.instructions[std::size_t(i)];
      const auto stream = std::size_t(instruction.stream);
      if (instruction.kind == InstructionKind::kRecord) {
        events[instruction.event] = known[stream];
      } else if (instruction.kind == InstructionKind::kWait) {
        bool learns = false;
        for (const std::size_t s : {0U, 1U}) {
          learns = learns || events.at(instruction.event)[s] > known[stream][s];
          if (heed_waits) {
            known[stream][s] = std::max(known[stream][s], events.at(instruction.event)[s]);
          }
        }
        if (!learns && !starts(program, i)) ++idle_waits;
      } else {
        for (int j = 0; j < i; ++j) {
          const Instruction& other = program.instructions[std::size_t(j)];
          if (other.event >= 0 || other.stream == instruction.stream) continue;
          if (known[stream][std::size_t(other.stream)] < j && conflicting(instruction, other)) {
            races.insert(other.label + " / " + instruction.label);
          }
        }
        known[stream][stream] = i;
      }
    }
    joined = known[0][1] >= last_communication(program);
  }
  /// The first wait of the communication stream orders it behind the programs before this one.
  static bool starts(const Program& program, int wait) {
    for (int i = 0; i < wait; ++i) {
      if (program.instructions[std::size_t(i)].kind == InstructionKind::kWait) return false;
    }
    return true;
  }
  static int last_communication(const Program& program) {
    int last = -1;
    for (int i = 0; i < static_cast<int>(program.instructions.size()); ++i) {
      const Instruction& instruction = program.instructions[std::size_t(i)];
      if (instruction.event < 0 && instruction.stream == kCommunicationStream) last = i;
    }
    return last;
  }
  std::set<std::string> races;
  int idle_waits = 0;
  bool joined = false;
};

}  // namespace ingot::test
