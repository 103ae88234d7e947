#include "runtime/program/synchronise.hpp"

#include <algorithm>
#include <array>

namespace ingot {

namespace {

/// The accesses of all instructions, and by stream which instructions there are.
struct Accesses {
  explicit Accesses(const Draft& draft) {
    for (const Instruction& instruction : draft.instructions) {
      first.push_back(all.size());
      collect_accesses(instruction, all);
    }
    first.push_back(all.size());
  }
  bool conflicting(std::size_t a, std::size_t b) const {
    for (std::size_t i = first[a]; i < first[a + 1]; ++i) {
      for (std::size_t j = first[b]; j < first[b + 1]; ++j) {
        if (conflict(all[i], all[j])) return true;
      }
    }
    return false;
  }
  std::vector<Access> all;
  std::vector<std::size_t> first;
};

Instruction event(InstructionKind kind, int stream, int number, const std::string& label) {
  Instruction instruction;
  instruction.kind = kind;
  instruction.stream = stream;
  instruction.event = number;
  instruction.label = label;
  return instruction;
}

}  // namespace

Synchronisation synchronise(const Draft& draft) {
  const Accesses accesses(draft);
  Synchronisation order;
  std::array<std::vector<int>, 2> issued;  // by stream
  std::array<int, 2> known = {Synchronisation::kStart, Synchronisation::kNothing};
  for (std::size_t i = 0; i < draft.instructions.size(); ++i) {
    const auto stream = static_cast<std::size_t>(draft.instructions[i].stream);
    const std::vector<int>& others = issued[1 - stream];
    int needed = std::max(known[stream], Synchronisation::kStart);
    if (draft.gates[i] != Draft::kNoGate) needed = std::max(needed, draft.gates[i]);
    for (std::size_t o = others.size(); o-- > 0 && others[o] > needed;) {
      if (accesses.conflicting(i, static_cast<std::size_t>(others[o]))) needed = others[o];
    }
    order.waits.push_back(needed > known[stream]);
    order.other.push_back(known[stream] = needed);
    issued[stream].push_back(static_cast<int>(i));
  }
  if (!issued[kCommunicationStream].empty()) {
    order.last_communication = issued[kCommunicationStream].back();
    order.joins = known[kComputeStream] < order.last_communication;
  }
  return order;
}

std::vector<Instruction> insert_events(const Draft& draft, const Synchronisation& order,
                                       int* events) {
  const std::size_t count = draft.instructions.size();
  std::vector<int> event_after(count + 1, -1);  // shifted by one: the start is -1
  const auto after = [&](int instruction) -> int& {
    return event_after[static_cast<std::size_t>(instruction + 1)];
  };
  *events = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (order.waits[i]) after(order.other[i]) = (*events)++;
  }
  if (order.joins) after(order.last_communication) = (*events)++;

  std::vector<Instruction> result;
  if (after(Synchronisation::kStart) >= 0) {
    result.push_back(event(InstructionKind::kRecord, kComputeStream, after(Synchronisation::kStart),
                           "program begun"));
  }
  const auto label = [&](int instruction) {
    if (instruction == Synchronisation::kStart) return std::string("program begun");
    return draft.instructions[static_cast<std::size_t>(instruction)].label + " done";
  };
  for (std::size_t i = 0; i < count; ++i) {
    const Instruction& instruction = draft.instructions[i];
    const int number = static_cast<int>(i);
    if (order.waits[i]) {
      result.push_back(event(InstructionKind::kWait, instruction.stream, after(order.other[i]),
                             label(order.other[i])));
    }
    result.push_back(instruction);
    if (after(number) >= 0) {
      result.push_back(
          event(InstructionKind::kRecord, instruction.stream, after(number), label(number)));
    }
  }
  if (order.joins) {
    result.push_back(event(InstructionKind::kWait, kComputeStream, after(order.last_communication),
                           "communication done"));
  }
  return result;
}

}  // namespace ingot
