// Saving a checkpoint. All ranks write their files into one folder with a temporary name; the
// manifest comes last, and one rename makes the checkpoint exist. Until that rename nothing that
// was there before is touched.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/checkpoint/state.hpp"

namespace ingot {

/// Where a save has got to.
enum class SaveStage : std::uint8_t {
  kWriting,          ///< after each part of a rank's file, on every rank
  kFilesWritten,     ///< rank 0: every file but the manifest is durable
  kManifestWritten,  ///< rank 0: all that is missing is the folder's name
  kRenamed           ///< rank 0: the checkpoint exists
};

struct SaveOptions {
  std::string directory;       ///< the run's "checkpoints" folder; created where missing
  std::int64_t keep = 0;       ///< newest checkpoints that stay; 0: all
  bool private_files = false;  ///< files 0600, folders 0700
  /// Told by the thread that writes; what it throws fails the save. For tests of faults.
  std::function<void(SaveStage)> on_stage = {};
};

struct SaveResult {
  std::string path;  ///< of the checkpoint
  std::int64_t step = 0;
  std::int64_t bytes = 0;
  double seconds = 0;          ///< from its begin to its end; background_save.hpp fills these two
  double blocked_seconds = 0;  ///< of them, those that this rank's training waited
  /// What did not hurt the checkpoint: older ones that could not be removed.
  std::vector<std::string> warnings;
};

/// Collective and blocking. The state must not change meanwhile. A checkpoint of the same step is
/// replaced. Where any rank fails, every rank throws the same Error (kCannotWrite with the path and
/// the bytes needed and free, for a full disk), and the temporary folder is removed.
SaveResult save_checkpoint(const SaveOptions& options, const StateView& state,
                           const TrainingState& training, RankExchange& exchange);

/// Removes what interrupted saves left; one rank calls it while the run starts. Returns what could
/// not be removed, as texts.
std::vector<std::string> remove_leftovers(const std::string& directory);

}  // namespace ingot
