// Explains why a checkpoint does not fit the model of a configuration: which tensor, both shapes,
// and the key that probably differs.
#pragma once

#include "runtime/checkpoint/load.hpp"

namespace ingot {

/// Error(kCheckpoint) unless both have the same tensors with the same shapes.
void check_same_tensors(const Checkpoint& checkpoint, const StoreLayout& layout);

/// Error(kCheckpoint): the checkpoint lacks a kind of state that the configuration needs.
[[noreturn]] void refuse_missing_kind(const Checkpoint& checkpoint, const std::string& kind);

}  // namespace ingot
