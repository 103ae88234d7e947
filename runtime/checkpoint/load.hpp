// Finding, checking and loading checkpoints. Their files are untrusted; the layout they are loaded
// into need not be the one they were saved from: tensors are matched by name, elements by their
// place in the tensor.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/checkpoint/manifest.hpp"
#include "runtime/checkpoint/state.hpp"

namespace ingot {

/// A checkpoint whose manifest is read and whose files exist with the right sizes. training.config,
/// tokenizer and columns are filled.
struct Checkpoint {
  std::string path;
  Manifest manifest;

  const TrainingState& training() const { return manifest.training; }
  bool has(const std::string& kind) const;
};

/// Opens a checkpoint folder. Error(kCheckpoint) names the file, what was found and expected.
Checkpoint open_checkpoint(const std::string& path);

/// Compares every file with its checksum. Error(kCheckpoint) names file, dataset and checksums.
void verify_checkpoint(const Checkpoint& checkpoint);

/// Told of each damaged checkpoint that is passed over.
using DamageReport = std::function<void(const std::string& message)>;

/// The newest checkpoint in a run's "checkpoints" folder that verifies completely; none where there
/// is none. Reads all of its bytes: one rank searches, the others open what it found.
std::optional<Checkpoint> find_latest(const std::string& directory, const DamageReport& report);

/// What a user names: a checkpoint, a run directory or its "checkpoints" folder (then the newest
/// that verifies). Error(kCheckpoint) if there is none.
Checkpoint resolve_checkpoint(const std::string& path, const DamageReport& report);

/// Fills what `state` holds of its kinds ("weights" alone is enough for sampling) and verifies what
/// it reads: the datasets that hold some of it. Padding between tensors is left as it is.
/// Error(kCheckpoint) names the first tensor that is missing, unexpected or of another shape, and
/// the configuration key that probably differs.
void load_state(const Checkpoint& checkpoint, const StateView& state);

}  // namespace ingot
