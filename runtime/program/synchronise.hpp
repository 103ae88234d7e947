// Orders the two streams of a program with as few events as its data and its gates need.
#pragma once

#include <vector>

#include "runtime/program/draft.hpp"

namespace ingot {

/// What is known to be done when an instruction begins: everything before it on its own stream, and
/// on the other one everything up to `other`.
struct Synchronisation {
  static constexpr int kNothing = -2;
  static constexpr int kStart = -1;  ///< what the compute stream did before the program began
  std::vector<int> other;            ///< per instruction
  /// Per instruction: whether it has to wait for `other` itself; its predecessors did otherwise.
  std::vector<bool> waits;
  int last_communication = kNothing;
  bool joins = false;  ///< the compute stream has to wait for last_communication in the end
};

/// Source of the rule: streams are FIFO, so a wait for an instruction implies all waits for earlier
/// ones of its stream. What an instruction needs is found from the last conflict backwards.
Synchronisation synchronise(const Draft& draft);

/// The instructions with the records and waits between them.
std::vector<Instruction> insert_events(const Draft& draft, const Synchronisation& order,
                                       int* events);

}  // namespace ingot
