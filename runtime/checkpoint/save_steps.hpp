// What a save consists of, step by step, for those that put the steps in order: saving at once
// (save.hpp) and while training goes on (background_save.hpp). Ranks tell each other how a step
// went as an Outcome; a step never throws.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/checkpoint/rank_exchange.hpp"
#include "runtime/checkpoint/save.hpp"
#include "runtime/checkpoint/state.hpp"

namespace ingot {

/// A text, or how making it failed.
struct Outcome {
  int code = 0;
  std::string text;

  std::string encode() const;
  static Outcome decode(const std::string& encoded);
  /// The text; throws the error if it is one.
  const std::string& value() const;
};

Outcome attempt(const std::function<std::string()>& work);

/// A save that is under way.
struct SaveJob {
  SaveOptions options;
  TrainingState training;
  std::string folder;      ///< temporary; empty until open_folder()
  std::int64_t bytes = 0;  ///< that the whole checkpoint needs, an estimate from above

  std::string path() const;  ///< that the folder will have
};

SaveJob plan_save(const SaveOptions& options, const StateView& state, const TrainingState& training,
                  int ranks);

/// Collective: rank 0 makes the temporary folder where there is room. An error is everybody's.
void open_folder(SaveJob& job, RankExchange& exchange);

/// Writes this rank's file, makes it durable and describes it.
Outcome write_part(const SaveJob& job, const StateView& state, int rank, int ranks,
                   const std::function<void()>& between_parts = {});

/// Rank 0, once every rank's write_part() is over: writes the manifest, renames the folder and
/// removes what options.keep lets go; or removes the folder if any rank failed.
/// reports: each rank's encoded Outcome.
Outcome commit(const SaveJob& job, const StateView& state, const std::vector<std::string>& reports);

/// What commit() did, from its outcome; throws its error.
SaveResult result_of(const SaveJob& job, const Outcome& committed);

}  // namespace ingot
